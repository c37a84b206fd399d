"""Which processor native code was made for: code compiled for one may not run on another."""

import platform
from pathlib import Path


def processor() -> str:
    """The machine and Linux's list of its CPU's features."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return f"{platform.machine()} {' '.join(sorted(value.split()))}"
    return platform.machine()
