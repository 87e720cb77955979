#!/usr/bin/env python3
"""Measures each server against the floor: the smallest C program that serves the same conversation in the same way.

Floor and server take turns within one run, round by round, so that a change of the machine's mood meets both. For each round the ratio
of the two is taken, and of the rounds' ratios the median, with the quartiles beside it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
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
    parser.add_argument("--duration", default="500ms", help="of one round (500ms)")
    parser.add_argument("--quick", action="store_true", help="two short rounds of one point: shows that it works")
    parser.add_argument("--one-core", action="store_true", help="all on one core: steadier where one client asks")
    options = parser.parse_args()
    if unknown := [pair for pair in options.pairs if pair not in PAIRS]:
        parser.error(f"there is no {unknown[0]}: give some of {', '.join(PAIRS)}")
    folder = ROOT / "target" / "floor"
    build(folder)
    if options.quick:
        options.rounds, options.duration = 2, "100ms"
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
