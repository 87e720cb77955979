"""A fixed pool of processes, which all accept from the one socket. Beside it: prefork.rs"""

from multiprocessing import Process
from course import get_server, get_talk


def serve(server):
    while True:
        get_talk(server.accept()[0])


if __name__ == "__main__":
    server = get_server()
    for i in range(8):
        Process(target=serve, args=(server,)).start()
