"""One conversation at a time: the next client waits until this one has left. Beside it: iterative.rs"""

from course import get_server, get_talk

if __name__ == "__main__":
    server = get_server()
    while True:
        sock, addr = server.accept()
        get_talk(sock)
