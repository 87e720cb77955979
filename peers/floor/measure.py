#!/usr/bin/env python3
"""Measures each server against the floor: the smallest C program that serves the same conversation in the same way.

Floor and server take turns within one run, round by round, so that a change of the machine's mood meets both. For each round the ratio
of the two is taken, and of the rounds' ratios the median, with the quartiles beside it.

With --generator it is the load that is measured: `client load`, which checks every byte and counts every time, beside a C program that
looks at nothing. Both send the same number of requests to the floor's event loop.

With --tails it is how long the slowest requests take, at a rate that all of them can keep up with, and what new connections do to them.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOME = Path(__file__).resolve().parent
ROOT = HOME.parent.parent
LISTEN = "-q --listen 127.0.0.1:{port}"
# The plain server that uses the same runtime, as seen from where the C programs are.
PLAIN = "../release/tokio"

# What is measured: the floor's program, and how our server is started. Pools have as many workers as there are connections.
PAIRS = {
    "iterative": ("iterative {port}", f"server-iterative {LISTEN}"),
    "fork": ("fork {port}", f"server-fork {LISTEN}"),
    "prefork": ("prefork {port} {workers}", f"server-prefork --workers {{workers}} {LISTEN}"),
    "thread": ("thread {port}", f"server-thread {LISTEN}"),
    "pool": ("pool {port} {workers}", f"server-pool --workers {{workers}} {LISTEN}"),
    "mio": ("epoll {port}", f"server-mio {LISTEN}"),
    "tokio": ("epoll {port}", f"server-tokio {LISTEN}"),
    "tokio-plain": (f"{PLAIN} 127.0.0.1:{{port}}", f"server-tokio {LISTEN}"),
    "hybrid": ("epoll {port}", f"server-hybrid --processes 1 {LISTEN}"),
    "uring": ("uring {port}", f"server-uring {LISTEN}"),
    "uring-epoll": ("epoll {port}", f"server-uring {LISTEN}"),
}

# Scenario and numbers of connections.
POINTS = [("requests", [1, 50, 1000]), ("pipeline", [50]), ("bulk", [4]), ("churn", [8])]

# For the generators: what it is called, connections, bytes, requests in flight on each connection, requests, and whether each request
# has a connection of its own.
LOADS = [
    ("requests", 1, 64, 1, 40_000, False),
    ("requests", 50, 64, 1, 150_000, False),
    ("requests", 1000, 64, 1, 150_000, False),
    ("pipeline", 50, 64, 16, 1_000_000, False),
    ("bulk", 4, 65536, 1, 20_000, False),
    ("churn", 8, 64, 1, 15_000, True),
]


def build(folder):
    """Builds the floor, the servers and the lab."""
    subprocess.run(["make", "--quiet", "-C", HOME, f"OUT={folder}"], check=True)
    subprocess.run(["cargo", "build", "--release", "--workspace", "--quiet"], cwd=ROOT, check=True)


def rounds(pair, scenario, connections, options, folder):
    """Runs floor and server in turn; returns each one's rounds."""
    floor, ours = (command.replace("{workers}", str(connections)) for command in PAIRS[pair])
    binaries = ROOT / "target" / "release"
    with tempfile.NamedTemporaryFile(suffix=".json") as document:
        command = [binaries / "lab", "compare", "--foreign-only", "--scenarios", scenario]
        command += ["--connections", str(connections), "--rounds", str(options.rounds)]
        command += ["--duration", options.duration, "--json", document.name]
        command += ["--server", f"floor={folder}/{floor}", "--server", f"ours={binaries}/{ours}"]
        if options.one_core:
            command = ["taskset", "--cpu-list", "0", *command, "--no-pin"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"{pair}, {scenario}, {connections} connections: {done.stderr.strip()}")
        servers = json.load(open(document.name))["points"][0]["servers"]
    return [server["rounds"] for server in servers]


def cpu_seconds(command):
    """The CPU time of a program from its start to its good end."""
    process = subprocess.Popen(["taskset", "--cpu-list", "1", *map(str, command)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} failed")
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def running(command, workers, folder):
    """A server on the first core, until it is not needed any more: its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = command.format(port=port, workers=workers).split()
    if command[0].startswith("server-"):
        command = [ROOT / "target/release" / command[0], *command[1:]]
        command += [] if "--workers" in command else ["--max-connections", "3000"]
    else:
        command = [folder / command[0], *command[1:]]
    server = subprocess.Popen(["taskset", "--cpu-list", "0", *command], start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        # A connection is taken as soon as somebody listens.
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if server.poll() is not None:
                sys.exit(f"{command[0]} does not start")
            time.sleep(0.05)
        # A thousand workers take a moment to start.
        time.sleep(1)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def generators(options, folder):
    """A row for each load: CPU per request of ours and of the floor's, without what a start costs."""
    with running("epoll {port}", 0, folder) as port:
        print("| load | connections | CPU per request, ours / floor | floor, us |")
        print("| --- | --- | --- | --- |")
        for name, connections, size, depth, requests, churn in LOADS[:1] if options.quick else LOADS:
            if options.quick:
                requests //= 10
            ours = [ROOT / "target/release/client", "load", f"127.0.0.1:{port}", "-c", connections, "-s", size, "-w", "0s", "-d", "1m"]
            ours += ["--new-connection-each"] if churn else ["-p", depth]
            churning = ["churn"] if churn else []
            kinds = [
                lambda n: cpu_seconds([folder / "load", port, connections, size, depth, n, *churning]),
                lambda n: cpu_seconds([*ours, "-n", n]),
            ]
            starts = [min(kind(connections) for _ in range(3)) for kind in kinds]
            each = [[(kind(requests) - start) / requests for kind, start in zip(kinds, starts)] for _ in range(options.rounds)]
            told = ratios(*zip(*each), lambda cpu: cpu)
            floor = 1e6 * statistics.median(floor for floor, _ in each)
            print(f"| {name} | {connections} | {told} | {floor:.2f} |", flush=True)


def load(port, *options):
    """A load from the other core, which has begun."""
    client = ROOT / "target/release/client"
    command = ["taskset", "--cpu-list", "1", client, "load", f"127.0.0.1:{port}", "--json", "-", *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def times(client):
    """What a load has found, once it has ended: p99 and p99.9 in milliseconds."""
    told, words = client.communicate()
    if client.returncode:
        sys.exit(words.strip())
    response = json.loads(told)["response_ns"]
    return response["p99"] / 1e6, response["p99_9"] / 1e6


def tails(options, folder):
    """A row for each program: medians of p99 and p99.9, with 1,000 connections, and with 50, alone and beside a churn."""
    programs = {}
    for pair in options.pairs or PAIRS:
        for program in PAIRS[pair]:
            if pair != "iterative" and PLAIN not in program and (not program.startswith("uring ") or (folder / "uring").exists()):
                programs[program.split()[0]] = program
    timing = ["-w", "500ms", "-d", options.duration]
    found = {name: ([], [], []) for name in programs}
    for _ in range(options.rounds):
        # What one leaves behind, such as a thousand dying processes, must not meet the same one each time.
        for name, program in random.sample(list(programs.items()), len(programs)):
            many, alone, beside = found[name]
            with running(program, 1010, folder) as port:
                many.append(times(load(port, "-c", 1000, "-r", options.rate, *timing)))
            with running(program, 90, folder) as port:
                alone.append(times(load(port, "-c", 50, "-r", options.rate, *timing)))
                # It ends after the talkers.
                talkers = load(port, "-c", 50, "-r", options.rate, *timing)
                churn = load(port, "-c", 30, "-r", 1000, "--new-connection-each", "-w", "1s", "-d", options.duration)
                beside.append(times(talkers))
                times(churn)
    print(f"p99 and p99.9 in ms, medians of {options.rounds} rounds; {options.rate} requests a second\n")
    print("| program | 1,000 connections | 50 connections | 50, beside 1,000 new ones a second |")
    print("| --- | --- | --- | --- |")
    for name, rounds_of in found.items():
        cells = [", ".join(f"{statistics.median(figure):.1f}" for figure in zip(*rounds)) for rounds in rounds_of]
        print(f"| {name} | {' | '.join(cells)} |")


def ratios(floor, ours, figure):
    """The median of the rounds' ratios, and its quartiles."""
    each = [figure(o) / figure(f) for f, o in zip(floor, ours) if figure(f) and figure(o)]
    if len(each) < 2:
        return "?"
    low, _, high = statistics.quantiles(each, n=4, method="inclusive")
    return f"{statistics.median(each):.3f} ({low:.3f} to {high:.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", metavar="MODEL", help=f"one of: {', '.join(PAIRS)} (all)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each (10)")
    parser.add_argument("--duration", help="of one round (500ms; 3s for --tails)")
    parser.add_argument("--quick", action="store_true", help="two short rounds of one point: shows that it works")
    parser.add_argument("--generator", action="store_true", help="measure the load instead of the servers")
    parser.add_argument("--one-core", action="store_true", help="all on one core: steadier where one client asks")
    parser.add_argument("--tails", action="store_true", help="measure the slowest requests, not the usual ones")
    parser.add_argument("--rate", type=int, default=5000, help="for --tails: requests a second (5000)")
    options = parser.parse_args()
    if unknown := [pair for pair in options.pairs if pair not in PAIRS]:
        parser.error(f"there is no {unknown[0]}: give some of {', '.join(PAIRS)}")
    options.duration = options.duration or ("3s" if options.tails else "500ms")
    folder = ROOT / "target" / "floor"
    build(folder)
    if options.quick:
        options.rounds, options.duration = 2, "100ms"
    if options.generator:
        return generators(options, folder)
    if options.tails:
        return tails(options, folder)
    print("| server | scenario | connections | CPU per request, ours / floor | rate, ours / floor | CPU, generator / ours |")
    print("| --- | --- | --- | --- | --- | --- |")
    for pair in options.pairs or PAIRS:
        if not (folder / PAIRS[pair][0].split()[0]).exists():
            print(f"left out: {pair}, whose floor could not be built", file=sys.stderr)
            continue
        for scenario, sizes in POINTS[:1] if options.quick else POINTS:
            for connections in [1] if pair == "iterative" else sizes[:1] if options.quick else sizes:
                floor, ours = rounds(pair, scenario, connections, options, folder)
                cpu = ratios(floor, ours, lambda r: r["server_cpu_ns_per_request"])
                rate = ratios(floor, ours, lambda r: r["requests_per_s"])
                generator = [r["generator_cpu_s"] / r["server_cpu_s"] for r in ours if r["server_cpu_s"]]
                client = f"{statistics.median(generator):.2f}" if generator else "?"
                print(f"| {pair} | {scenario} | {connections} | {cpu} | {rate} | {client} |", flush=True)


if __name__ == "__main__":
    main()
