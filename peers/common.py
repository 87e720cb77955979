"""What all four servers share: called by them, and never calling into one. It decides nothing about concurrency.

Signals are bytes on a descriptor and the listener is non-blocking, so that a server sleeps in one place only (`wait`), and a
signal that arrives between a check and that sleep is not missed.
"""

import argparse
import errno
import os
import resource
import select
import signal
import socket
import sys
import time

#: How many clients may wait in the kernel's queue; the kernel cuts it to net.core.somaxconn.
BACKLOG = 4096

#: How long a stop waits for open conversations, in seconds.
DRAIN_SECONDS = 10

#: The most that one read takes, in bytes.
CHUNK_BYTES = 64 * 1024

#: How long a server stops accepting when the system has run out of something, in seconds.
PAUSE_SECONDS = 0.1

#: At most one line in this time is logged about it, in seconds.
LOG_SECONDS = 1

#: Descriptors that are kept for the server itself.
SPARE_DESCRIPTORS = 32

#: Errors of accept(2) that a moment's wait may cure.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

#: Errors of accept(2) that say that the listener itself is unusable.
_UNUSABLE = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP}


def listen(description):
    """Reads the command line and opens the listening socket, non-blocking.

    Exits with code 2 where the call is wrong, and with 1 where the system refuses the address.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:8080",
        type=_address,
        help="where to wait for clients; port 0 takes any free port (default: %(default)s)",
    )
    host, port = parser.parse_args().listen
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        # Lets a server bind again while old connections linger; a port on which another server listens stays refused.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Linux copies it to every socket that is accepted. Without it an answer of several writes waits 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        parser.exit(1, f"error: cannot listen on {host}:{port}: {error.strerror}; choose another --listen\n")
    listener.setblocking(False)
    return listener


def _address(text):
    """Splits `HOST:PORT`; an IPv6 host stands in brackets."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    number = int(port) if port.isascii() and port.isdigit() else -1
    if not (colon and host and 0 <= number <= 65535) or (":" in host and not bracketed):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8080 or [::1]:0")
    return (host[1:-1] if bracketed else host), number


def announce(listener):
    """Says that clients can connect now: exactly one line on stdout."""
    host, port = listener.getsockname()[:2]
    try:
        print(f"listening on [{host}]:{port}" if ":" in host else f"listening on {host}:{port}", flush=True)
    except OSError:
        # Nobody reads: the server serves all the same, and the interpreter must not try again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def connection_limit(descriptors):
    """How many conversations fit, where each costs so many descriptors. Raises the soft limit to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, (hard - SPARE_DESCRIPTORS) // descriptors)


class Signals:
    """The signals that this process has got, as a descriptor to wait on and a flag to look at."""

    def __init__(self, *wakers):
        """SIGTERM and SIGINT set `stop`; `wakers` only wake."""
        self.stop = False
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._begin_stop)
        for number in wakers:
            signal.signal(number, lambda *_: None)

    def fileno(self):
        return self._woken

    def silence(self):
        """Takes the bytes out of the pipe, so that the next wait waits."""
        try:
            while os.read(self._woken, 4096):
                pass
        except BlockingIOError:
            pass

    def close(self):
        """For a child, whose parent's signals these are."""
        signal.set_wakeup_fd(-1)
        os.close(self._woken)
        os.close(self._wake)

    def _begin_stop(self, *_):
        self.stop = True
        # One is enough, and a second one would kill the interpreter while it ends: by then the handlers are gone.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


class Pause:
    """Remembers that the system has run out of something, so that the server waits a moment instead of spinning or dying."""

    def __init__(self):
        self._until = 0.0
        self._logged = float("-inf")

    def accept(self, listener):
        """The next client's socket, or None when there is none for now."""
        while True:
            try:
                stream, _ = listener.accept()
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno in _UNUSABLE:
                    raise
                if error.errno in _EXHAUSTED:
                    self.begin("accept a connection", error)
                    return None
                # This one connection broke in the queue: the next.
            else:
                stream.setblocking(True)
                return stream

    def begin(self, action, error):
        """Begins a pause because `action` failed; logged at most once a second."""
        now = time.monotonic()
        self._until = now + PAUSE_SECONDS
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            log(f"cannot {action}: {error}; trying again in {PAUSE_SECONDS} s")

    def seconds(self, full=False):
        """For how long the listener is not to be looked at; None when it is. A `full` server looks again and again."""
        remaining = self._until - time.monotonic()
        if remaining > 0:
            return remaining
        return PAUSE_SECONDS if full else None


def wait(listener, signals, seconds=None, poll=select.poll):
    """Sleeps until a client or a signal comes, or so many seconds have passed; says whether a client, and whether a signal.

    Without a listener clients wait in the kernel's queue.
    """
    sources = poll()
    sources.register(signals, select.POLLIN)
    if listener:
        sources.register(listener, select.POLLIN)
    # Rounded up: with 0 milliseconds a loop would spin.
    ready = [descriptor for descriptor, _ in sources.poll(seconds and int(1000 * seconds) + 1)]
    signal_came = signals.fileno() in ready
    if signal_came:
        signals.silence()
    return listener is not None and listener.fileno() in ready, signal_came


def converse(stream):
    """One whole conversation: what arrives goes back upper-cased, until the client ends its input. Closes the socket.

    `bytes.upper` changes the ASCII letters and no other byte. An error of the connection ends this conversation, and no more.
    """
    with stream:
        try:
            while data := stream.recv(CHUNK_BYTES):
                stream.sendall(data.upper())
        except OSError:
            pass


def end_input(streams):
    """Makes each read, also one that is under way, return what has arrived and then the end (shutdown(2)): the conversation
    then ends as if its client had ended it. A state of the socket, not an event: who is just about to read cannot miss it.

    A shortcut against the Rust servers: one that sends on and on is served on and on, until the drain's deadline.
    """
    for stream in streams:
        try:
            stream.shutdown(socket.SHUT_RD)
        except OSError:
            # It has just ended by itself.
            pass


def log(text):
    """One line on stderr, or none where nobody reads."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass
