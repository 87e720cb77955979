"""One thread per conversation: threading.Thread. Beside it: thread.rs"""

from threading import Thread
from course import get_server, get_talk

if __name__ == "__main__":
    server = get_server()
    while True:
        sock, addr = server.accept()
        Thread(target=get_talk, args=(sock,), daemon=True).start()
