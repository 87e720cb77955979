#!/usr/bin/env python3
"""One coroutine per conversation, all on one thread, in Python: gevent.

- Where does a conversation's state live? In the local variables of its greenlet, whose piece of stack is kept on the heap.
- Who sleeps, and on what? The one thread, in gevent's event loop (epoll); a greenlet that would sleep gives way to the next.
- What does one more client cost? A greenlet, its saved stack, and two watchers in the event loop.
- What happens at the limit? The main greenlet does not look at the listener.
- How does it stop? The main greenlet ends every conversation's input; what is open at the deadline ends with the process.
"""

import sys

import common

try:
    import gevent
    import gevent.select
    import gevent.socket
except ImportError as missing:
    sys.exit(f"error: coroutine.py needs gevent ({missing}); get it with: {sys.executable} -m pip install gevent")

#: A client's socket.
DESCRIPTORS = 1

#: A conversation gives way after so many answers in a row, also where its client always has more to say.
TURN_ANSWERS = 16


def run():
    # Prepare. Nothing is patched: everything that sleeps is gevent's by its name, so that it can be seen.
    listener = common.listen(__doc__)
    limit = common.connection_limit(DESCRIPTORS)
    signals = common.Signals()
    pause = common.Pause()
    conversations = {}
    common.announce(listener)

    while not signals.stop:
        # Wait.
        paused = pause.seconds(full=len(conversations) >= limit)
        arrival, _ = common.wait(None if paused else listener, signals, paused, poll=gevent.select.poll)

        # Admit.
        if arrival and (stream := pause.accept(listener)):
            stream = Stream(fileno=stream.detach())
            conversations[stream] = gevent.spawn(serve, stream, conversations)

    # Drain.
    listener.close()
    common.end_input(list(conversations))
    gevent.joinall(list(conversations.values()), timeout=common.DRAIN_SECONDS)


def serve(stream, conversations):
    common.converse(stream)

    # Retire.
    del conversations[stream]


class Stream(gevent.socket.socket):
    """gevent's socket, which by itself gives way only when it would block: one greedy client could keep all others waiting."""

    answers = 0

    def sendall(self, data, flags=0):
        super().sendall(data, flags)
        self.answers += 1
        if self.answers % TURN_ANSWERS == 0:
            # Not gevent.sleep(0), after which the loop may go on with this one before it looks for others' bytes.
            gevent.socket.wait_read(self.fileno())


if __name__ == "__main__":
    run()
