/* The other end: the smallest load. It keeps so many requests in flight on so many connections, counts the bytes that come back, and
 * looks at none of them. No clock, no histogram. With `churn` each request has a connection of its own. */
#include "floor.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

static struct sockaddr_in address = {.sin_family = AF_INET};
static long size, depth, left_to_send, left_to_receive;
static int churn, queue;

/* Bytes of each connection, by descriptor: sent of those that are due, and received. */
static struct flow {
    long due, sent, received;
} flows[1 << 20];
static unsigned char request[1 << 20], buffer[BUFFER_BYTES];

/* Sends what is due, as far as the socket takes it. */
static void push(int stream) {
    struct flow *flow = &flows[stream];
    while (flow->sent < flow->due) {
        long length = flow->due - flow->sent;
        ssize_t more = send(stream, request, length < (long)sizeof request ? length : (long)sizeof request, MSG_NOSIGNAL);
        if (more < 0 && errno == EAGAIN)
            return;
        if (more < 0)
            err(1, "cannot send");
        flow->sent += more;
    }
}

static void ask(int stream, long requests) {
    requests = requests < left_to_send ? requests : left_to_send;
    left_to_send -= requests;
    flows[stream].due += requests * size;
    push(stream);
}

static void begin(void) {
    int one = 1, stream = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(stream, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(stream, (struct sockaddr *)&address, sizeof address))
        err(1, "cannot connect");
    struct epoll_event watch = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = stream};
    flows[stream] = (struct flow){0};
    ioctl(stream, FIONBIO, &one);
    ask(stream, depth);
    epoll_ctl(queue, EPOLL_CTL_ADD, stream, &watch);
}

/* Receives what has come, and asks for as much again. */
static void turn(int stream) {
    struct flow *flow = &flows[stream];
    push(stream);
    for (;;) {
        ssize_t length = recv(stream, buffer, sizeof buffer, 0);
        if (length < 0 && errno == EAGAIN)
            return;
        if (length <= 0)
            err(1, "the server has ended a conversation");
        long before = flow->received / size, answers = (flow->received += length) / size - before;
        left_to_receive -= answers;
        if (answers && churn) {
            close(stream);
            if (left_to_send)
                begin();
            return;
        }
        if (answers)
            ask(stream, answers);
        if (length < (ssize_t)sizeof buffer)
            return;
    }
}

int main(int count, char **words) {
    static struct epoll_event events[1024];
    if (count < 6)
        errx(2, "give it PORT CONNECTIONS BYTES DEPTH REQUESTS, and perhaps the word churn");
    raise_descriptors();
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(atoi(words[1]));
    size = atol(words[3]), depth = atol(words[4]), churn = count > 6;
    left_to_send = left_to_receive = atol(words[5]);
    memset(request, 'a', sizeof request);
    queue = epoll_create1(0);
    for (int i = 0; i < atoi(words[2]); i++)
        begin();
    while (left_to_receive > 0) {
        int ready = epoll_wait(queue, events, 1024, -1);
        for (int i = 0; i < ready; i++)
            turn(events[i].data.fd);
    }
}
