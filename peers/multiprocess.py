#!/usr/bin/env python3
"""One process per conversation, in Python: multiprocessing.Process, by fork.

- Where does a conversation's state live? In the local variables of its process.
- Who sleeps, and on what? Each child in recv or sendall on its own socket; the parent in poll on the listener and on signals.
- What does one more client cost? A process with its copy of whatever the interpreter writes to, which is every object it counts.
- What happens at the limit? The parent does not look at the listener. A process that cannot be started costs its client.
- How does it stop? The parent sends each child SIGTERM, whose handler ends its input; at the deadline children are killed.
"""

import ctypes
import multiprocessing
import os
import signal
import time

import common

#: A parent's descriptors for one child: multiprocessing keeps two pipe ends; a client's socket is closed again at once.
DESCRIPTORS = 2

#: prctl(2): the signal that this process gets when its parent ends.
PR_SET_PDEATHSIG = 1

#: How often a stopping parent signals again: a signal that reaches a child just before its recv sleeps is missed by Python.
SIGNAL_SECONDS = 0.1

# Chosen here because newer Pythons start a fresh interpreter by default.
FORK = multiprocessing.get_context("fork")

# Loaded before any fork, and shared by all.
LIBC = ctypes.CDLL(None, use_errno=True)


def run():
    # Prepare.
    listener = common.listen(__doc__)
    limit = common.connection_limit(DESCRIPTORS)
    signals = common.Signals(signal.SIGCHLD)
    pause = common.Pause()
    conversations = set()
    common.announce(listener)

    while not signals.stop:
        # Wait.
        paused = pause.seconds(full=len(conversations) >= limit)
        arrival, signal_came = common.wait(None if paused else listener, signals, paused)

        # Admit.
        if arrival and (stream := pause.accept(listener)):
            child = FORK.Process(target=serve, args=(stream, listener, signals, os.getpid()), daemon=True)
            try:
                child.start()
                conversations.add(child)
            except OSError as error:
                # Each such failure also costs four descriptors, which CPython's multiprocessing forgets (Popen._launch).
                pause.begin("start a process", error)
            finally:
                stream.close()

        # Retire.
        if signal_came:
            retire(conversations)

    # Drain.
    listener.close()
    deadline = time.monotonic() + common.DRAIN_SECONDS
    while conversations and time.monotonic() < deadline:
        for child in conversations:
            child.terminate()
        common.wait(None, signals, SIGNAL_SECONDS)
        retire(conversations)
    for child in conversations:
        child.kill()
        child.join()


def retire(conversations):
    """Collects the children that have ended: until then they are zombies."""
    for child in [child for child in conversations if child.exitcode is not None]:
        conversations.discard(child)
        child.close()


def serve(stream, listener, signals, parent):
    # Ctrl-C reaches the whole process group: the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: common.end_input([stream]))
    die_with(parent)
    listener.close()
    signals.close()
    common.converse(stream)


def die_with(parent):
    """Has the kernel kill this child when its parent ends, also by SIGKILL."""
    armed = LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
    # A parent that ended before the request was made sends nothing any more.
    if not armed or os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    run()
