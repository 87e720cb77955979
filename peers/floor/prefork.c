/* A fixed pool of processes, each in accept: prefork PORT WORKERS */
#include "floor.h"
#include <signal.h>
#include <sys/prctl.h>

int main(int count, char **words) {
    static unsigned char buffer[BUFFER_BYTES];
    int listener = listen_on(count, words, 0);
    for (int worker = count > 2 ? atoi(words[2]) : 64; worker > 0; worker--) {
        if (fork() != 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int stream = accept(listener, NULL, NULL);
            if (stream < 0)
                continue;
            converse(stream, buffer, sizeof buffer);
            close(stream);
        }
    }
    pause();
}
