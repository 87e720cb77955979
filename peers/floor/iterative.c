/* One conversation at a time. */
#include "floor.h"

int main(int count, char **words) {
    serve_all(listen_on(count, words, 0));
}
