#!/usr/bin/env python3
"""One thread per conversation, in Python: threading.Thread, under the interpreter's one lock (GIL).

- Where does a conversation's state live? In the local variables of its thread.
- Who sleeps, and on what? Each thread in recv or sendall on its own socket, and whoever is to run on the lock; the main thread in poll.
- What does one more client cost? A thread: its stacks in the kernel and of its own, and one more to wait for the lock.
- What happens at the limit? The main thread does not look at the listener. A thread that cannot be started costs its client.
- How does it stop? The main thread ends every conversation's input; what is open at the deadline ends with the process.
"""

import threading
import time

import common

#: A client's socket.
DESCRIPTORS = 1

#: Stack of a thread in bytes, of which only the touched pages cost memory.
STACK_BYTES = 256 * 1024


def run():
    # Prepare.
    listener = common.listen(__doc__)
    limit = common.connection_limit(DESCRIPTORS)
    signals = common.Signals()
    pause = common.Pause()
    conversations = {}
    threading.stack_size(STACK_BYTES)
    common.announce(listener)

    while not signals.stop:
        # Wait.
        paused = pause.seconds(full=len(conversations) >= limit)
        arrival, _ = common.wait(None if paused else listener, signals, paused)

        # Admit.
        if arrival and (stream := pause.accept(listener)):
            thread = threading.Thread(target=serve, args=(stream, conversations), daemon=True)
            conversations[stream] = thread
            try:
                thread.start()
            except RuntimeError as error:
                pause.begin("start a thread", error)
                del conversations[stream]
                stream.close()

    # Drain.
    listener.close()
    deadline = time.monotonic() + common.DRAIN_SECONDS
    common.end_input(list(conversations))
    for thread in list(conversations.values()):
        thread.join(max(0.0, deadline - time.monotonic()))


def serve(stream, conversations):
    common.converse(stream)

    # Retire: the lock makes one step of this, also beside the main thread's.
    del conversations[stream]


if __name__ == "__main__":
    run()
