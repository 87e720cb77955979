"""Promises, kept by every server alike: run with `python3 peers/test_peers.py`. Every wait has a deadline."""

import importlib.util
import os
import random
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

#: For how long anything is waited for, in seconds: much longer than it takes, on a loaded machine too.
DEADLINE_SECONDS = 30

#: Servers that serve several clients at once.
AT_ONCE = ("multiprocess", "multithread", "coroutine")


def eventually(what, holds):
    """Fails where it does not come to hold."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {DEADLINE_SECONDS} s: {what}")
        time.sleep(0.01)


def parents():
    """Each process's parent and state, by its number (proc(5))."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            # It has just ended.
            continue
        found[int(pid)] = int(parent), state
    return found


def receive(client, count):
    """So many bytes, or fewer where the end comes first."""
    received = bytearray()
    while len(received) < count and (data := client.recv(count - len(received))):
        received += data
    return bytes(received)


class Server:
    """One running server, killed when the test ends."""

    def __init__(self, test, name, *options, preexec=None):
        command = [sys.executable, os.path.join(HERE, f"{name}.py"), *(options or ("--listen", "127.0.0.1:0"))]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=preexec)
        test.addCleanup(self._end)
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE_SECONDS)
        test.assertTrue(ready, "it says nothing")
        self.line = self.process.stdout.readline().decode()
        host, _, port = self.line.strip().rpartition(" ")[2].rpartition(":")
        test.assertTrue(port.isdigit(), f"{self.line!r} names no address")
        self.address = host.strip("[]"), int(port)
        self.test = test

    def _end(self):
        # Held still first, so that it starts no child that is not seen; afterwards they have another parent.
        pid = self.process.pid
        self.process.send_signal(signal.SIGSTOP)
        eventually("it is held still, or has ended", lambda: parents().get(pid, (0, "X"))[1] in "TZX")
        children = self.children()
        self.process.kill()
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.communicate(timeout=DEADLINE_SECONDS)

    def connect(self):
        client = socket.create_connection(self.address, DEADLINE_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.test.addCleanup(client.close)
        return client

    def ask(self, client, request):
        client.sendall(request)
        self.test.assertEqual(receive(client, len(request)), request.upper())

    def unread(self, client):
        """Bytes of the client that have arrived and that the server has not read (proc_net_tcp)."""
        ports = self.address[1], client.getsockname()[1]
        with open("/proc/net/tcp", encoding="ascii") as sockets:
            for fields in map(str.split, sockets.readlines()[1:]):
                if tuple(int(address.rpartition(":")[2], 16) for address in fields[1:3]) == ports:
                    return int(fields[4].rpartition(":")[2], 16)
        return 0

    def children(self):
        return [pid for pid, (parent, _) in parents().items() if parent == self.process.pid]

    def stopped(self, number=signal.SIGTERM):
        """Stops it; it must exit with 0, and have said nothing more and complained about nothing."""
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=DEADLINE_SECONDS)
        self.test.assertEqual((self.process.returncode, output, errors), (0, b"", b""))


class Promises:
    """What every server promises; the classes at the end say which server."""

    name = None

    def start(self, *options):
        return Server(self, self.name, *options)

    def test_the_address_is_told_once_and_when_clients_can_connect(self):
        server = self.start()
        self.assertRegex(server.line, r"^listening on 127\.0\.0\.1:\d+\n$")
        server.ask(server.connect(), b"hello")
        server.stopped()

    def test_any_bytes_in_any_pieces_come_back_upper_cased(self):
        server, dice = self.start(), random.Random(20_260_714)
        client = server.connect()
        for _ in range(200):
            request = bytes(dice.choices(range(256), k=dice.randint(1, 6000)))
            unsent = request
            while unsent:
                count = dice.randint(1, len(unsent))
                client.sendall(unsent[:count])
                unsent = unsent[count:]
            expected = bytes(byte - 32 if 97 <= byte <= 122 else byte for byte in request)
            self.assertEqual(receive(client, len(request)), expected)

    def test_requests_sent_without_waiting_are_answered_in_order(self):
        server = self.start()
        client = server.connect()
        requests = b"".join(b"request %d; " % number for number in range(2000))
        server.ask(client, requests)

    def test_mebibytes_in_one_go_come_back_while_they_are_sent(self):
        server = self.start()
        client = server.connect()
        request = random.Random(17).getrandbits(8 * 8_000_003).to_bytes(8_000_003, "big")
        failed = []

        def send():
            try:
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
            except OSError as error:
                failed.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        answer = receive(client, len(request) + 1)
        sender.join(DEADLINE_SECONDS)
        self.assertEqual((failed, sender.is_alive(), answer == request.upper()), ([], False, True))

    def test_a_client_that_ends_its_input_gets_its_answers_and_then_a_clean_end(self):
        server = self.start()
        for request in (b"the last words", b""):
            client = server.connect()
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(receive(client, 100), request.upper())

    def test_a_client_that_resets_harms_no_other(self):
        server = self.start()
        steady = server.connect() if self.name in AT_ONCE else None
        for _ in range(20):
            client = server.connect()
            client.sendall(b"x" * 100_000)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            if steady:
                server.ask(steady, b"not disturbed")
        server.ask(server.connect(), b"and the next")

    def test_two_hundred_clients_at_once_do_not_mix(self):
        server = self.start()
        clients = [server.connect() for _ in range(200)]
        for number, client in enumerate(clients):
            client.sendall(b"client %d" % number)
        for number, client in enumerate(clients):
            self.assertEqual(receive(client, len(b"client %d" % number)), b"CLIENT %d" % number)
            # The sequential server sees the next one then.
            client.close()

    def test_a_stop_answers_what_was_received_and_exits_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start()
            clients = [server.connect() for _ in range(20 if self.name in AT_ONCE else 1)]
            for client in clients:
                server.ask(client, b"hello")
            # Held still meanwhile, so that the bytes have arrived and nobody has read them when the stop comes.
            held = [server.process.pid, *server.children()]
            for pid in held:
                os.kill(pid, signal.SIGSTOP)
            for client in clients:
                client.sendall(b"before the stop")
            server.process.send_signal(number)
            for pid in held:
                os.kill(pid, signal.SIGCONT)
            server.stopped(number)
            for client in clients:
                self.assertEqual(receive(client, 100), b"BEFORE THE STOP")

    def test_silent_clients_see_a_clean_end_and_do_not_hold_the_stop(self):
        server = self.start()
        clients = [server.connect() for _ in range(20 if self.name in AT_ONCE else 1)]
        for client in clients:
            server.ask(client, b"hello")
        begun = time.monotonic()
        server.stopped()
        self.assertLess(time.monotonic() - begun, 8, "the stop waited for the deadline")
        for client in clients:
            self.assertEqual(receive(client, 1), b"")

    def test_a_client_that_takes_no_answers_is_cut_at_the_deadline(self):
        server = self.start()
        client = server.connect()
        server.ask(client, b"hello")
        client.setblocking(False)
        deadline = time.monotonic() + DEADLINE_SECONDS
        # Held back alone says little: the system may do that too. A server that lets the same bytes lie is blocked in sending.
        unread = None
        while True:
            if not select.select([], [client], [], 1)[1]:
                before, unread = unread, server.unread(client)
                if unread and unread == before:
                    break
            self.assertLess(time.monotonic(), deadline, "it takes everything from a client that does not read")
            try:
                client.send(b"x" * 65536)
            except BlockingIOError:
                pass
        begun = time.monotonic()
        server.stopped()
        self.assertGreater(time.monotonic() - begun, 9)

    def test_the_port_can_be_bound_again_at_once_and_is_shared_with_nobody(self):
        server = self.start()
        where = f"127.0.0.1:{server.address[1]}"
        server.ask(server.connect(), b"hello")
        second = self.run_to_its_end("--listen", where)
        self.assertEqual((second.returncode, second.stdout), (1, b""))
        self.assertRegex(second.stderr, rb"^error: cannot listen on [^\n]+\n$")
        server.stopped()
        again = self.start("--listen", where)
        self.assertEqual(again.line, f"listening on {where}\n")
        again.ask(again.connect(), b"hello")

    def test_wrong_usage_is_refused_with_exit_code_2(self):
        for options in (["--listen", "nonsense"], ["--listen", "127.0.0.1:99999"], ["--listen", "::1:0"], ["surplus"]):
            refused = self.run_to_its_end(*options)
            self.assertEqual((refused.returncode, refused.stdout), (2, b""), options)
            self.assertIn(options[-1].encode(), refused.stderr)

    def test_nothing_stays_behind_when_clients_leave(self):
        server = self.start()
        first = server.connect()
        server.ask(first, b"hello")
        if self.name not in AT_ONCE:
            # Its end is seen when the server has closed it, and so is no part of what is compared.
            first.shutdown(socket.SHUT_WR)
            self.assertEqual(receive(first, 1), b"")
        pid = server.process.pid

        def holds():
            return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task")), len(server.children())

        before = holds()
        clients = [server.connect() for _ in range(100)]
        for client in clients:
            client.sendall(b"hello")
        if self.name in AT_ONCE:
            self.assertEqual([receive(client, 5) for client in clients], [b"HELLO"] * 100)
            self.assertGreaterEqual(max(holds()), 100, "what a client costs is seen")
        for client in clients:
            client.close()
        # Fewer are right too: the first client may have been answered before the parent had closed its copy of the socket.
        left = lambda: any(now > then for now, then in zip(holds(), before))
        eventually("no descriptor, thread, child or zombie is left", lambda: not left())

    def run_to_its_end(self, *options):
        command = [sys.executable, os.path.join(HERE, f"{self.name}.py"), *options]
        return subprocess.run(command, capture_output=True, timeout=DEADLINE_SECONDS, check=False)


class Children:
    """What the server with a process per connection promises besides."""

    def test_children_die_with_a_killed_parent_and_the_port_is_free(self):
        server = self.start()
        clients = [server.connect() for _ in range(5)]
        for client in clients:
            server.ask(client, b"hello")
        children = server.children()
        self.assertEqual(len(children), len(clients))
        server.process.kill()
        server.process.wait(DEADLINE_SECONDS)
        # Whoever adopts them collects them when it likes: a zombie (Z) runs no more.
        eventually("no child runs", lambda: not any(parents().get(pid, (0, "Z"))[1] not in "ZX" for pid in children))
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(server.address, DEADLINE_SECONDS)

    def test_a_killed_child_ends_only_its_own_conversation(self):
        server = self.start()
        victim = server.connect()
        server.ask(victim, b"hello")
        [child] = server.children()
        other = server.connect()
        server.ask(other, b"hello")
        os.kill(child, signal.SIGKILL)
        self.assertEqual(receive(victim, 1), b"")
        server.ask(other, b"not disturbed")
        eventually("the killed one is no zombie", lambda: child not in server.children())

    def test_a_child_holds_neither_the_listener_nor_another_client(self):
        server = self.start()
        clients = [server.connect() for _ in range(3)]
        for client in clients:
            server.ask(client, b"hello")

        def sockets(pid):
            links = [os.path.join(f"/proc/{pid}/fd", number) for number in os.listdir(f"/proc/{pid}/fd")]
            return sum(os.readlink(link).startswith("socket:") for link in links)

        self.assertEqual([sockets(pid) for pid in server.children()], [1, 1, 1])


class OutOfDescriptors:
    """What the servers that serve many at once promise when there are fewer descriptors than clients."""

    def test_clients_beyond_the_descriptors_wait_and_are_served_when_others_leave(self):
        limit = resource.RLIMIT_NOFILE, (64, 64)
        server = Server(self, self.name, preexec=lambda: resource.setrlimit(*limit))
        clients = [server.connect() for _ in range(100)]
        for client in clients:
            client.sendall(b"hello")
        begun = processor_seconds(server.process.pid)
        with self.assertRaises(socket.timeout):
            clients[-1].settimeout(1)
            clients[-1].recv(1)
        self.assertLess(processor_seconds(server.process.pid) - begun, 0.7, "it spins")
        clients[-1].settimeout(DEADLINE_SECONDS)
        for client in clients:
            self.assertEqual(receive(client, 5), b"HELLO")
            client.close()


class ShortOfDescriptors:
    """What every server promises when the system has no descriptor left for a client."""

    def test_a_server_without_descriptors_waits_and_then_goes_on(self):
        server = self.start()
        if self.name in AT_ONCE:
            server.ask(server.connect(), b"hello")
        pid = server.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        # The standard streams, and not one more.
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
        client = server.connect()
        client.sendall(b"hello")
        ready, _, _ = select.select([server.process.stderr], [], [], DEADLINE_SECONDS)
        self.assertTrue(ready, "it says nothing about it")
        self.assertRegex(server.process.stderr.readline(), rb"^cannot accept a connection: .*; trying again in 0\.1 s\n$")
        begun = processor_seconds(pid)
        with self.assertRaises(socket.timeout):
            client.settimeout(1)
            client.recv(1)
        self.assertLess(processor_seconds(pid) - begun, 0.7, "it spins")
        client.settimeout(DEADLINE_SECONDS)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        self.assertEqual(receive(client, 5), b"HELLO")


class Fairness:
    """What the servers that serve many at once promise about greedy clients."""

    def test_a_greedy_client_starves_no_other(self):
        server = self.start()
        greedy, modest, over = server.connect(), server.connect(), threading.Event()

        def send():
            while not over.is_set():
                try:
                    greedy.sendall(b"x" * 65536)
                except OSError:
                    return

        def take():
            while not over.is_set():
                try:
                    greedy.recv(65536)
                except OSError:
                    return

        helpers = [threading.Thread(target=helper, daemon=True) for helper in (send, take)]
        for helper in helpers:
            helper.start()
        try:
            for _ in range(100):
                server.ask(modest, b"one word")
            self.assertTrue(all(helper.is_alive() for helper in helpers), "the greedy one was at it all the time")
        finally:
            over.set()
            greedy.shutdown(socket.SHUT_RDWR)
            for helper in helpers:
                helper.join(DEADLINE_SECONDS)


def processor_seconds(pid):
    """What a process has used of the processor so far."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class CoroutineWithoutGevent(unittest.TestCase):
    def test_it_says_in_one_line_what_is_missing_and_how_to_get_it(self):
        # -S: without the folder in which modules are installed.
        command = [sys.executable, "-S", os.path.join(HERE, "coroutine.py"), "--listen", "127.0.0.1:0"]
        run = subprocess.run(command, capture_output=True, timeout=DEADLINE_SECONDS, check=False)
        self.assertEqual((run.returncode, run.stdout), (1, b""))
        self.assertRegex(run.stderr, rb"^error: [^\n]*-m pip install gevent\n$")


class Plain:
    """What the smallest programs promise, those of plain/."""

    name = None

    def start(self):
        return Server(self, f"plain/{self.name}", "127.0.0.1:0")

    def test_it_is_a_page_of_8_to_15_lines(self):
        with open(os.path.join(HERE, "plain", f"{self.name}.py"), encoding="utf-8") as source:
            count = len(source.readlines())
        self.assertTrue(8 <= count <= 15, f"plain/{self.name}.py has {count} lines")

    def test_any_bytes_in_any_pieces_come_back_upper_cased(self):
        server, dice = self.start(), random.Random(20_260_714)
        client = server.connect()
        server.ask(client, bytes(range(256)))
        for _ in range(100):
            request = dice.randbytes(dice.randint(1, 6000))
            cut = dice.randint(0, len(request))
            client.sendall(request[:cut])
            client.sendall(request[cut:])
            self.assertEqual(receive(client, len(request)), request.upper())

    def test_a_client_that_ends_its_input_gets_its_answers_and_then_a_clean_end(self):
        server = self.start()
        for request in b"", b"one", b"x" * 300_000:
            client = server.connect()
            sender = threading.Thread(target=lambda: (client.sendall(request), client.shutdown(socket.SHUT_WR)))
            sender.start()
            self.assertEqual(receive(client, len(request) + 1), request.upper())
            sender.join(DEADLINE_SECONDS)

    def test_a_client_that_resets_harms_no_other(self):
        server = self.start()
        for _ in range(20):
            client = server.connect()
            client.sendall(b"x" * 10_000)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        server.ask(server.connect(), b"and the next")

    def test_two_hundred_clients_at_once_are_all_served(self):
        server = self.start()
        clients = [server.connect() for _ in range(200)]
        for number, client in enumerate(clients):
            client.sendall(b"client %d" % number)
        for number, client in enumerate(clients):
            self.assertEqual(receive(client, len(b"client %d" % number)), b"CLIENT %d" % number)
            # A pool sees the next one then.
            client.close()


class Sequential(Promises, ShortOfDescriptors, unittest.TestCase):
    name = "sequential"


class Multiprocess(Promises, Children, OutOfDescriptors, ShortOfDescriptors, Fairness, unittest.TestCase):
    name = "multiprocess"


class Multithread(Promises, OutOfDescriptors, ShortOfDescriptors, Fairness, unittest.TestCase):
    name = "multithread"


@unittest.skipUnless(importlib.util.find_spec("gevent"), "gevent is not here: python3 -m pip install gevent")
class Coroutine(Promises, OutOfDescriptors, ShortOfDescriptors, Fairness, unittest.TestCase):
    name = "coroutine"


class PlainIterative(Plain, unittest.TestCase):
    name = "iterative"


class PlainFork(Plain, unittest.TestCase):
    name = "fork"


class PlainPrefork(Plain, unittest.TestCase):
    name = "prefork"


class PlainThread(Plain, unittest.TestCase):
    name = "thread"


class PlainPool(Plain, unittest.TestCase):
    name = "pool"


@unittest.skipUnless(importlib.util.find_spec("gevent"), "gevent is not here: python3 -m pip install gevent")
class PlainCoroutine(Plain, unittest.TestCase):
    name = "coroutine"


if __name__ == "__main__":
    unittest.main()
