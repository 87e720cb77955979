"""The course's programs: N workers that compute or wait, in threads or processes; JSON on stdout, times of CLOCK_MONOTONIC."""

import json
import multiprocessing
import os
import sys
import threading
import time

kind, how, count, size, prime = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])


class Turns:
    """When this thread computed: it looks at two clocks, and where its own has stood still, others computed."""

    STEPS, PAUSE = 16, 1_000_000

    def __init__(self):
        self.turns = []
        self.wall, self.own = time.monotonic_ns(), time.thread_time_ns()
        self.since = self.wall

    def look(self):
        wall, own = time.monotonic_ns(), time.thread_time_ns()
        if (wall - self.wall) - (own - self.own) > self.PAUSE:
            self.turns.append((self.since, self.wall))
            self.since = wall - (own - self.own)
        self.wall, self.own = wall, own

    def end(self):
        self.look()
        self.turns.append((self.since, self.wall))
        return self.turns


def work(name, results):
    begin = time.monotonic_ns()
    rest, turns = 0, []
    if kind == "compute":
        res, clock = 1, Turns()
        for i in range(2, size + 1):
            res = res * i
            if i % Turns.STEPS == 0:
                clock.look()
        rest, turns = res % prime, clock.end()
    else:
        time.sleep(size / 1e9)
    results.append([name, os.getpid(), threading.get_native_id(), begin, time.monotonic_ns(), rest, turns])


def process(name, parent, queue):
    # Killed with its parent (PR_SET_PDEATHSIG, SIGKILL), however that ends.
    try:
        import ctypes
        ctypes.CDLL(None).prctl(1, 9)
    except ImportError:
        pass
    if os.getppid() == parent:
        results = []
        work(name, results)
        queue.put(results[0])


results = []
begin = time.monotonic_ns()
if how == "threads":
    workers = [threading.Thread(target=work, args=(f"thread {i + 1}", results)) for i in range(count)]
else:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    workers = [
        context.Process(target=process, args=(f"process {i + 1}", os.getpid(), queue), daemon=True)
        for i in range(count)
    ]
for worker in workers:
    worker.start()
if how == "processes":
    results = [queue.get() for _ in workers]
for worker in workers:
    worker.join()
end = time.monotonic_ns()
has_lock = getattr(sys, "_is_gil_enabled", lambda: sys.implementation.name == "cpython")()
json.dump({"has_lock": has_lock, "begin_ns": begin, "end_ns": end, "workers": sorted(results, key=lambda r: r[3])}, sys.stdout)
