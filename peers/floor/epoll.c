/* All conversations on one thread, in one event loop. Edge-triggered: both directions are watched at once and for good, and a read
 * that is shorter than the buffer has emptied the socket, unless the event also says that the peer has closed. */
#include "floor.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

/* Answers that a peer would not take yet, by descriptor. */
static struct unsent {
    unsigned char *bytes;
    ssize_t sent, length;
} unsent[1 << 20];

/* Sends what is unsent; 0 when all is gone, 1 when some is left, -1 when the connection is broken. */
static int flush(int stream, struct unsent *kept) {
    while (kept->sent < kept->length) {
        ssize_t more = send(stream, kept->bytes + kept->sent, kept->length - kept->sent, MSG_NOSIGNAL);
        if (more < 0)
            return errno == EAGAIN ? 1 : -1;
        kept->sent += more;
    }
    free(kept->bytes);
    kept->bytes = NULL;
    return 0;
}

/* Serves what can be served; 0 when the conversation is over. */
static int turn(int stream, int closed) {
    static unsigned char buffer[BUFFER_BYTES];
    struct unsent *kept = &unsent[stream];
    for (;;) {
        int left = kept->bytes ? flush(stream, kept) : 0;
        if (left)
            return left > 0;
        ssize_t length = recv(stream, buffer, sizeof buffer, 0);
        if (length <= 0)
            return length < 0 && errno == EAGAIN;
        shout(buffer, length);
        ssize_t sent = send(stream, buffer, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return 0;
        if (sent < length) {
            sent = sent < 0 ? 0 : sent;
            *kept = (struct unsent){malloc(length - sent), 0, length - sent};
            memcpy(kept->bytes, buffer + sent, length - sent);
        } else if (length < (ssize_t)sizeof buffer && !closed)
            return 1;
    }
}

int main(int count, char **words) {
    static struct epoll_event events[1024];
    int listener = listen_on(count, words, SOCK_NONBLOCK), queue = epoll_create1(0);
    struct epoll_event watch = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(queue, EPOLL_CTL_ADD, listener, &watch);
    for (;;) {
        int ready = epoll_wait(queue, events, 1024, -1);
        for (int i = 0; i < ready; i++) {
            int stream = events[i].data.fd, closed = events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
            if (stream != listener) {
                /* The first event of every connection says only that it can be written. */
                if (!(events[i].events & EPOLLIN) && !closed && !unsent[stream].bytes)
                    continue;
                if (turn(stream, closed))
                    continue;
                free(unsent[stream].bytes);
                unsent[stream].bytes = NULL;
                close(stream);
                continue;
            }
            if ((stream = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                watch = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = stream};
                epoll_ctl(queue, EPOLL_CTL_ADD, stream, &watch);
            }
        }
    }
}
