/* One conversation at a time. */
#include "floor.h"

int main(int count, char **words) {
    static unsigned char buffer[BUFFER_BYTES];
    int listener = listen_on(count, words, 0);
    for (;;) {
        int stream = accept(listener, NULL, NULL);
        if (stream < 0)
            continue;
        converse(stream, buffer, sizeof buffer);
        close(stream);
    }
}
