"""Runs a program in which a system call fails: forbid.py ERRNO SYSCALL... -- PROGRAM [ARGUMENT...]

A seccomp filter (seccomp(2)) answers the calls with the error instead of making them, as the profiles of containers do.
"""
import ctypes
import errno
import os
import platform
import struct
import sys

NUMBERS = {
    "x86_64": {"poll": 7, "sendto": 44, "kill": 62, "sendmsg": 46, "recvmsg": 47, "accept": 43, "accept4": 288, "io_uring_setup": 425, "io_uring_enter": 426},
    "aarch64": {"poll": 73, "sendto": 206, "kill": 129, "sendmsg": 211, "recvmsg": 212, "accept": 202, "accept4": 242, "io_uring_setup": 425, "io_uring_enter": 426},
}[platform.machine()]
LOAD_NUMBER, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2

split = sys.argv.index("--")
error = getattr(errno, sys.argv[1])
calls = [NUMBERS[name] for name in sys.argv[2:split]]

steps = [struct.pack("HBBI", LOAD_NUMBER, 0, 0, 0)]
for index, call in enumerate(calls):
    steps.append(struct.pack("HBBI", JUMP_IF_EQUAL, len(calls) - index, 0, call))
steps.append(struct.pack("HBBI", RETURN, 0, 0, ALLOW))
steps.append(struct.pack("HBBI", RETURN, 0, 0, ERROR | error))

code = ctypes.create_string_buffer(b"".join(steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
for arguments in [
    (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
    (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0),
]:
    if libc.prctl(arguments[0], *map(ctypes.c_ulong, arguments[1:])) != 0:
        sys.exit(f"cannot filter: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[split + 1], sys.argv[split + 1 :])
