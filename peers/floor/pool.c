/* A fixed pool of threads, each in accept: pool PORT WORKERS */
#include "floor.h"
#include <pthread.h>

static int listener;

static void *work(void *unused) {
    serve_all(listener);
    return unused;
}

int main(int count, char **words) {
    listener = listen_on(count, words, 0);
    for (int worker = count > 2 ? atoi(words[2]) : 64; worker > 0; worker--) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL))
            err(1, "cannot start a thread");
    }
    pause();
}
