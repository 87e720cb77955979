#!/usr/bin/env python3
"""One conversation at a time, in Python: the baseline that the others are measured against.

- Where does a conversation's state live? In the local variables of the one thread that serves.
- Who sleeps, and on what? That thread: in recv or sendall on the conversation's socket; between them in poll on the listener.
- What does one more client cost? A place in the kernel's queue, and the time until all before it have left.
- What happens at the limit? The limit is one: while a conversation is open, nobody looks at the listener.
- How does it stop? A second thread, which sleeps otherwise, ends the conversation's input; at the deadline it ends the process.
"""

import os
import select
import threading
import time

import common


def run():
    # Prepare.
    listener = common.listen(__doc__)
    signals = common.Signals()
    pause = common.Pause()
    conversations = set()
    threading.Thread(target=watch, args=(signals, conversations), daemon=True).start()
    common.announce(listener)

    while not signals.stop:
        # Wait.
        paused = pause.seconds()
        arrival, _ = common.wait(None if paused else listener, signals, paused)

        # Admit.
        if arrival and (stream := pause.accept(listener)):
            conversations.add(stream)
            serve(stream, signals)

            # Retire.
            conversations.discard(stream)

    # Drain: there is nobody left.
    listener.close()


def serve(stream, signals):
    # The stop may have come after the connection and before the watching thread could see it.
    if signals.stop:
        common.end_input([stream])
    common.converse(stream)


def watch(signals, conversations):
    """Ends the open conversation when a signal comes. The thread that serves could miss one that arrives just before its recv
    sleeps, since Python runs a handler between two steps of that thread only; the descriptor, and this thread, do not.
    """
    woken = select.poll()
    woken.register(signals, select.POLLIN)
    woken.poll()
    common.end_input(list(conversations))
    time.sleep(common.DRAIN_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    run()
