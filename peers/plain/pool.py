"""A fixed pool of threads, each of which takes the next client from a queue. Beside it: pool.rs"""

from concurrent.futures import ThreadPoolExecutor
from course import get_server, get_talk

if __name__ == "__main__":
    server = get_server()
    pool = ThreadPoolExecutor(8)
    while True:
        sock, addr = server.accept()
        pool.submit(get_talk, sock)
