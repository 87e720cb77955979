"""One process per conversation: multiprocessing.Process. Beside it: fork.rs"""

from multiprocessing import Process
from course import get_server, get_talk

if __name__ == "__main__":
    server = get_server()
    while True:
        sock, addr = server.accept()
        Process(target=get_talk, args=(sock,)).start()
        # The child has its own copy.
        sock.close()
