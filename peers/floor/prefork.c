/* A fixed pool of processes, each in accept: prefork PORT WORKERS */
#include "floor.h"
#include <signal.h>
#include <sys/prctl.h>

int main(int count, char **words) {
    int listener = listen_on(count, words, 0);
    for (int worker = count > 2 ? atoi(words[2]) : 64; worker > 0; worker--) {
        if (fork() != 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_all(listener);
    }
    pause();
}
