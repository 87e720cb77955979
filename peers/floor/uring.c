/* All conversations on one thread, by completions: multishot accept, multishot receive into provided buffers, one send at a time on
 * each connection, from the buffer that was received into. Built where liburing is. */
#include "floor.h"
#include <errno.h>
#include <liburing.h>
#include <sys/mman.h>

enum { BUFFERS = 256, PIECE_BYTES = 64 * 1024, GROUP = 0, NONE = -1 };
enum kind { ACCEPT, RECEIVE, SEND };

/* The buffers of a connection that are to be sent, in order: `first` is being sent, from `sent` on. */
static struct conversation {
    int first, last, sent, armed, ended;
} conversations[1 << 20];
static struct {
    int next, length;
} buffers[BUFFERS];
static unsigned char *memory;
static struct io_uring ring;
static struct io_uring_buf_ring *provided;
static int starving[1 << 20], starved;

static struct io_uring_sqe *entry(enum kind kind, int stream) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    io_uring_sqe_set_data64(sqe, (unsigned long long)kind << 32 | (unsigned)stream);
    return sqe;
}

static void arm(enum kind kind, int stream) {
    struct io_uring_sqe *sqe = entry(kind, stream);
    if (kind == ACCEPT) {
        io_uring_prep_multishot_accept(sqe, stream, NULL, NULL, 0);
    } else {
        io_uring_prep_recv_multishot(sqe, stream, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = GROUP;
        conversations[stream].armed = 1;
    }
    io_uring_sqe_set_data64(sqe, (unsigned long long)kind << 32 | (unsigned)stream);
}

static void provide(int buffer) {
    io_uring_buf_ring_add(provided, memory + (size_t)buffer * PIECE_BYTES, PIECE_BYTES, buffer,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(provided, 1);
    while (starved > 0)
        arm(RECEIVE, starving[--starved]);
}

static void send_first(int stream) {
    struct conversation *c = &conversations[stream];
    struct io_uring_sqe *sqe = entry(SEND, stream);
    io_uring_prep_send(sqe, stream, memory + (size_t)c->first * PIECE_BYTES + c->sent,
                       buffers[c->first].length - c->sent, MSG_NOSIGNAL);
    io_uring_sqe_set_data64(sqe, (unsigned long long)SEND << 32 | (unsigned)stream);
}

static void received(int stream, struct io_uring_cqe *cqe) {
    struct conversation *c = &conversations[stream];
    c->armed = cqe->flags & IORING_CQE_F_MORE;
    if (cqe->res > 0) {
        int buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        shout(memory + (size_t)buffer * PIECE_BYTES, cqe->res);
        buffers[buffer].next = NONE, buffers[buffer].length = cqe->res;
        if (c->first == NONE)
            c->first = c->last = buffer, c->sent = 0, send_first(stream);
        else
            buffers[c->last].next = buffer, c->last = buffer;
        if (!c->armed)
            arm(RECEIVE, stream);
    } else if (cqe->res == -ENOBUFS) {
        starving[starved++] = stream;
    } else {
        c->ended = 1;
    }
}

static void sent(int stream, int result) {
    struct conversation *c = &conversations[stream];
    c->sent += result > 0 ? result : buffers[c->first].length;
    if (c->sent >= buffers[c->first].length) {
        int done = c->first;
        c->first = buffers[done].next, c->sent = 0;
        provide(done);
    }
    if (c->first != NONE)
        send_first(stream);
}

int main(int count, char **words) {
    int listener = listen_on(count, words, 0), error;
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE, .cq_entries = 16384};
    if ((error = io_uring_queue_init_params(4096, &ring, &parameters)) < 0)
        errx(1, "no io_uring: error %d", -error);
    memory = mmap(NULL, (size_t)BUFFERS * PIECE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    provided = mmap(NULL, BUFFERS * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct io_uring_buf_reg group = {.ring_addr = (unsigned long)provided, .ring_entries = BUFFERS, .bgid = GROUP};
    if ((error = io_uring_register_buf_ring(&ring, &group, 0)) < 0)
        errx(1, "no ring of buffers: error %d", -error);
    for (int buffer = 0; buffer < BUFFERS; buffer++)
        provide(buffer);
    arm(ACCEPT, listener);
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe) {
            int stream = (int)cqe->user_data;
            seen++;
            if (cqe->user_data >> 32 == ACCEPT) {
                if (cqe->res >= 0) {
                    conversations[cqe->res] = (struct conversation){.first = NONE};
                    arm(RECEIVE, cqe->res);
                }
                if (!(cqe->flags & IORING_CQE_F_MORE))
                    arm(ACCEPT, stream);
                continue;
            }
            if (cqe->user_data >> 32 == RECEIVE)
                received(stream, cqe);
            else
                sent(stream, cqe->res);
            if (conversations[stream].ended && conversations[stream].first == NONE)
                close(stream);
        }
        io_uring_cq_advance(&ring, seen);
    }
}
