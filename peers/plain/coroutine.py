"""One coroutine per conversation, all on one thread: gevent. Beside it: tokio.rs"""

from gevent import monkey, spawn

# From here on, whoever would sleep lets the next coroutine go on instead.
monkey.patch_all()

from course import get_server, get_talk

if __name__ == "__main__":
    server = get_server()
    while True:
        sock, addr = server.accept()
        spawn(get_talk, sock)
