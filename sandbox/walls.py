"""The second wall: what a worker process cannot do even if the engine inside it is broken. Linux, by its own calls.

Each function builds one wall in the calling process, for good, and raises OSError where the kernel or this user cannot.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sandbox import seccomp

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x0800_0000, 0x1000_0000, 0x4000_0000
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF, CAPSET = 444, 446, {"x86_64": 126, "aarch64": 91}
NOBODY = 65534

RESOURCES = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_MEMLOCK: 0,
    resource.RLIMIT_MSGQUEUE: 0,
    resource.RLIMIT_NOFILE: 64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """advice: what would help where it is not present."""

    name: str
    present: bool
    advice: str = ""


ADVICE = {
    "no network": "allow unprivileged user namespaces (sysctl user.max_user_namespaces, and on Ubuntu"
    " kernel.apparmor_restrict_unprivileged_userns=0), or start the sandbox as root; seccomp denies sockets meanwhile",
    "another user": "start the sandbox as root: its workers then become nobody",
    "resource limits": "raise the hard limits of this user (ulimit -H)",
    "no new privileges": "use Linux 3.5 or newer",
    "no files (Landlock)": "use Linux 5.13 or newer with landlock in its list of security modules (boot option lsm=)",
    "few system calls (seccomp)": "use a kernel with CONFIG_SECCOMP_FILTER, on x86-64 or ARM64",
}


def before_fork() -> list[Wall]:
    """For a process that forks workers: what they inherit. It must have one thread."""
    return [_built("no network", leave_network)]


def after_fork(exercise: Callable[[], object], *, data_bytes: int | None = None, compiles: bool = False) -> list[Wall]:
    """For a worker. exercise: run once inside, so that the engine has its threads before no more can be made.

    data_bytes: of memory, beyond what the process has now. compiles: it makes code, but still runs none that it was given.
    """
    built = [
        _built("resource limits", lambda: limit_resources(data_bytes)),
        _built("another user", become_nobody),
        _built("no new privileges", refuse_privileges),
        _built("no files (Landlock)", leave_files),
    ]
    exercise()
    built.append(_built("few system calls (seccomp)", lambda: seccomp.restrict(compiles=compiles)))
    return built


def _built(name: str, build: Callable[[], None]) -> Wall:
    try:
        build()
    except (OSError, ValueError):
        return Wall(name=name, present=False, advice=ADVICE[name])
    return Wall(name=name, present=True)


def report() -> list[Wall]:
    """What this machine and this user allow, found by building each wall in a process of its own."""
    done = subprocess.run([sys.executable, "-I", "-m", "sandbox.walls"], env={}, capture_output=True)
    if done.returncode != 0:
        return [Wall(name=name, present=False, advice=advice) for name, advice in ADVICE.items()]
    return [Wall(**wall) for wall in json.loads(done.stdout)]


def die_with_parent() -> None:
    """To be said again after every change of user, which forgets it."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def leave_network() -> None:
    """Into a network with no device but a loopback that is down. Without root it takes a user namespace of its own."""
    flags = CLONE_NEWNET | CLONE_NEWIPC
    _check(_libc.unshare(flags if os.geteuid() == 0 else flags | CLONE_NEWUSER))
    die_with_parent()


def limit_resources(data_bytes: int | None = None) -> None:
    """Address space is not limited: an instance reserves gigabytes of it and uses none."""
    ceilings = dict(RESOURCES)
    if data_bytes is not None:
        ceilings[resource.RLIMIT_DATA] = _data_bytes() + data_bytes
    for name, ceiling in ceilings.items():
        resource.setrlimit(name, (ceiling, ceiling))
    with open("/proc/self/oom_score_adj", "w") as score:  # when memory is short, a worker goes before anything else
        score.write("1000")


def _data_bytes() -> int:
    """What counts for RLIMIT_DATA: the sixth number of proc_pid_statm(5)."""
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[5]) * resource.getpagesize()


def become_nobody() -> None:
    if os.geteuid() != 0:
        raise PermissionError(errno.EPERM, "only root can become another user")
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def refuse_privileges() -> None:
    """No capability (a user namespace gives all of them), none to come, and no debugger."""
    header, nothing = (ctypes.c_uint32 * 2)(0x2008_0522, 0), (ctypes.c_uint32 * 6)()  # _LINUX_CAPABILITY_VERSION_3
    _check(_libc.syscall(CAPSET[os.uname().machine], header, nothing))
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_DUMPABLE, 0)
    die_with_parent()


def leave_files() -> None:
    """A Landlock ruleset (landlock(7)) without a rule: no file, no TCP port, no signal and no abstract socket outside."""
    abi = _check(_libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1))
    files = (1 << (13 + (abi >= 2) + (abi >= 3) + (abi >= 5))) - 1
    ruleset = (ctypes.c_uint64 * 3)(files, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = ctypes.c_size_t(8 if abi < 4 else 16 if abi < 6 else 24)
    descriptor = _check(_libc.syscall(LANDLOCK_CREATE_RULESET, ruleset, size, 0))
    _check(_libc.syscall(LANDLOCK_RESTRICT_SELF, descriptor, 0))
    os.close(descriptor)


_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))))


def _check(result: Any) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)


if __name__ == "__main__":
    sys.stdout.write(json.dumps([asdict(wall) for wall in before_fork() + after_fork(lambda: None)]))
