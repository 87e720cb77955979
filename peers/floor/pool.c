/* A fixed pool of threads, each in accept: pool PORT WORKERS */
#include "floor.h"
#include <pthread.h>

static int listener;

static void *work(void *unused) {
    unsigned char buffer[BUFFER_BYTES];
    for (;;) {
        int stream = accept(listener, NULL, NULL);
        if (stream < 0)
            continue;
        converse(stream, buffer, sizeof buffer);
        close(stream);
    }
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
