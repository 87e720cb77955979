"""A client that is far away: far.py PROGRAM [ARGUMENT...], as root in a network namespace of its own (unshare -n).

A packet to 10.9.0.2 comes back after a while as one from there, so that a server of this machine is a peer at that distance. The
client asks every 300 ms; in the middle the server is told to stop. Prints `ok` if every question was answered.
"""
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

DELAY = 0.05  # seconds, each way
PAUSE = 0.3  # seconds between the questions: longer than a moment here, shorter than four round trips more
TUNSETIFF, IFF_TUN_NO_PI = 0x400454CA, 0x1001

device = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"far", IFF_TUN_NO_PI))
for command in ["addr add 10.9.0.1/24 dev far", "link set far up", "link set lo up"]:
    subprocess.run(["ip", *command.split()], check=True)


def mirror():
    """Swaps the addresses of each packet, which keeps its checksums right, and sends it back after the delay."""
    while True:
        packet = os.read(device, 65536)
        if packet[0] >> 4 == 4:
            swapped = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
            threading.Timer(DELAY, os.write, (device, swapped)).start()


threading.Thread(target=mirror, daemon=True).start()
server = subprocess.Popen([*sys.argv[1:], "--listen", "0.0.0.0:0"], stdout=subprocess.PIPE, text=True)
try:
    port = int(server.stdout.readline().rsplit(":", 1)[1])
    client = socket.create_connection(("10.9.0.2", port), timeout=10)
    for number in range(8):
        begun = time.monotonic()
        question = b"far away %d" % number
        client.sendall(question)
        answer = client.recv(len(question), socket.MSG_WAITALL)
        assert answer == question.upper(), f"question {number}: {answer!r}"
        if number == 2:
            server.send_signal(signal.SIGTERM)
        time.sleep(max(0, PAUSE - (time.monotonic() - begun)))
    assert client.recv(1) == b"", "and then it ends"
    assert server.wait(timeout=10) == 0, f"exit code {server.returncode}"
finally:
    server.kill()
print("ok")
