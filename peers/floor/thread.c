/* One thread per conversation. */
#include "floor.h"
#include <pthread.h>

static void *serve(void *stream) {
    unsigned char buffer[BUFFER_BYTES];
    converse((int)(long)stream, buffer, sizeof buffer);
    close((int)(long)stream);
    return NULL;
}

int main(int count, char **words) {
    int listener = listen_on(count, words, 0);
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, 2 * BUFFER_BYTES);
    for (;;) {
        pthread_t thread;
        int stream = accept(listener, NULL, NULL);
        if (stream >= 0 && pthread_create(&thread, &detached, serve, (void *)(long)stream))
            close(stream);
    }
}
