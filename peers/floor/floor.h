/* What the floor's programs share: the listening socket, the answer, and the whole conversation on a blocking socket.
 *
 * Each program is the least that serves the conversation in its way: no limits, no timeouts, no drain, no status, no log; a signal
 * ends it. What it costs is what the kernel costs, nearly. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 128 * 1024, BACKLOG = 4096 };

/* As many descriptors as the system gives. */
static inline void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Listens on 127.0.0.1 at the port that is the first argument. Accepted sockets inherit TCP_NODELAY. */
static inline int listen_on(int count, char **words, int type) {
    raise_descriptors();
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | type, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons(count > 1 ? atoi(words[1]) : 8080);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, BACKLOG))
        err(1, "cannot listen");
    return listener;
}

static inline void shout(unsigned char *bytes, ssize_t length) {
    for (ssize_t i = 0; i < length; i++)
        bytes[i] ^= ((unsigned char)(bytes[i] - 'a') < 26) << 5;
}

/* Serves one conversation to its end on a blocking socket. */
static inline void converse(int stream, unsigned char *buffer, size_t size) {
    for (;;) {
        ssize_t length = recv(stream, buffer, size, 0);
        if (length <= 0)
            return;
        shout(buffer, length);
        for (ssize_t sent = 0, more; sent < length; sent += more)
            if ((more = send(stream, buffer + sent, length - sent, MSG_NOSIGNAL)) <= 0)
                return;
    }
}

/* Serves one client after the other, for ever. */
static inline void serve_all(int listener) {
    unsigned char buffer[BUFFER_BYTES];
    for (;;) {
        int stream = accept(listener, NULL, NULL);
        if (stream < 0)
            continue;
        converse(stream, buffer, sizeof buffer);
        close(stream);
    }
}
