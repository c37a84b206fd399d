"""A script that becomes another program which ends when its parent does, under an account of its own if asked.

It knows no program. It imports nothing of ours, so that starting it costs a bare interpreter.

    python -I -S leash.py PARENT_PID SIGNAL UID GID CAPABILITY PROGRAM ARGUMENT...

UID and GID of -1 keep the account. CAPABILITY (a number, or -1) survives the change of account and nothing else does.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    parent, death_signal, uid, gid, capability = (int(argument) for argument in arguments[:5])
    program = arguments[5:]
    os.umask(0o077)
    libc = ctypes.CDLL(None, use_errno=True)
    if uid >= 0:
        _become(libc, uid, gid, capability)
    if sys.platform == "linux":
        _check(libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0))  # after the change of account, which clears it
    if os.getppid() != parent:
        sys.exit("the parent ended before its child could start")
    os.execv(program[0], program)  # noqa: S606 - becoming what we were told to is the purpose


def _become(libc: ctypes.CDLL, uid: int, gid: int, capability: int) -> None:
    if capability >= 0:
        _check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if capability >= 0:
        bit = 1 << capability
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit)  # effective, permitted, inheritable; the second half is for 32 and up
        _check(libc.capset(header, sets))
        _check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
