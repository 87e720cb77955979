/* One process per conversation. */
#include "floor.h"
#include <signal.h>

int main(int count, char **words) {
    static unsigned char buffer[BUFFER_BYTES];
    int listener = listen_on(count, words, 0);
    signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
    for (;;) {
        int stream = accept(listener, NULL, NULL);
        if (stream < 0)
            continue;
        if (fork() == 0) {
            close(listener);
            converse(stream, buffer, sizeof buffer);
            _exit(0);
        }
        close(stream);
    }
}
