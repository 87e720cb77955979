"""What the course's programs share, by the course's names: the listening socket, and the talk with one client."""

import socket
import sys


def get_server():
    """Listens where the only argument says, or on 127.0.0.1:8080, and tells the address in one line."""
    host, _, port = (sys.argv[1] if sys.argv[1:] else "127.0.0.1:8080").rpartition(":")
    server = socket.create_server((host, int(port)), backlog=4096)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print("listening on %s:%d" % server.getsockname(), flush=True)
    return server


def get_talk(sock):
    """The whole talk. An error ends this talk, and no other one."""
    with sock:
        try:
            while data := sock.recv(1024):
                sock.sendall(data.upper())
        except OSError:
            pass
