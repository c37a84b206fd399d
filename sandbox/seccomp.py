"""The system calls that a worker may still make once its engine runs. Linux on x86-64 and ARM64.

The filter is classic BPF over struct seccomp_data (seccomp(2)): the number is at offset 0, the architecture at 4, the
low half of the third argument at 32. What is not named fails with EPERM; no memory becomes executable.
"""

import ctypes
import os
from collections.abc import Iterator
from errno import ENOSYS, EPERM
from struct import pack

ALLOW, REFUSE, UNKNOWN = 0x7FFF_0000, 0x0005_0000 | EPERM, 0x0005_0000 | ENOSYS
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, ARCHITECTURE, THIRD_ARGUMENT = 0, 4, 32
PROT_EXEC = 4
SET_MODE_FILTER, TO_ALL_THREADS = 1, 1

# name: number on x86-64, on ARM64 (None: it has no such call)
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "lseek": (8, 62),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "mremap": (25, 216),
    "sched_yield": (24, 124),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "exit": (60, 93),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "epoll_wait": (232, None),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "epoll_ctl": (233, 21),
    "epoll_pwait": (281, 22),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    # what a thread does first: the engine's may still be starting when the filter comes
    "sched_getaffinity": (204, 123),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
}
NOT_EXECUTABLE: dict[str, tuple[int, int]] = {"mmap": (9, 222), "mprotect": (10, 226)}
CLONE3 = (435, 435)
SECCOMP = (317, 277)
MACHINES = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}


def restrict(*, compiles: bool = False) -> None:
    """For every thread of the process, for good. It must have refused new privileges before.

    compiles: memory may become executable, since a compiler's engine insists on that.
    """
    column, architecture = _machine()
    program = b"".join(_program(column, architecture, compiles))
    libc = ctypes.CDLL(None, use_errno=True)
    # struct sock_fprog: a length, padding, a pointer
    buffer = ctypes.create_string_buffer(program)
    filter_ = pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    if libc.syscall(SECCOMP[column], SET_MODE_FILTER, TO_ALL_THREADS, filter_) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _machine() -> tuple[int, int]:
    machine = os.uname().machine
    if machine not in MACHINES:
        raise OSError(ENOSYS, f"no list of system calls for {machine}")
    return MACHINES[machine]


def _program(column: int, architecture: int, compiles: bool) -> Iterator[bytes]:
    """An instruction is struct sock_filter: what, how many to skip if true, if false, operand."""

    def step(what: int, operand: int, yes: int = 0, no: int = 0) -> bytes:
        return pack("HBBI", what, yes, no, operand)

    yield step(LOAD, ARCHITECTURE)
    yield step(EQUAL, architecture, yes=1)
    yield step(RETURN, REFUSE)
    yield step(LOAD, NUMBER)
    for numbers in (*ALLOWED.values(), *(NOT_EXECUTABLE.values() if compiles else ())):
        number = numbers[column]
        if number is not None:
            yield step(EQUAL, number, no=1)
            yield step(RETURN, ALLOW)
    for allowed_numbers in NOT_EXECUTABLE.values():
        yield step(EQUAL, allowed_numbers[column], no=4)
        yield step(LOAD, THIRD_ARGUMENT)
        yield step(ANY_BIT, PROT_EXEC, yes=1)
        yield step(RETURN, ALLOW)
        yield step(RETURN, REFUSE)
    yield step(EQUAL, CLONE3[column], no=1)
    yield step(RETURN, UNKNOWN)  # the C library then tries clone, which is refused
    yield step(RETURN, REFUSE)
