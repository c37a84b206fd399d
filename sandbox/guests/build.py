"""Builds the Python guest once for this machine: a component from its sources, then native code. Runs no guest.

python -m sandbox.guests.build --to DIR
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from sandbox.errors import RuntimeUnavailable
from sandbox.private import check_private, make_private
from sandbox.processor import processor
from sandbox.runtimes.wasmtime.python import compile_component

SOURCES = Path(__file__).parent / "python"
KEEP_SECONDS = 30 * 86_400

Progress = Callable[[str], None]


def ensure_guest(cache: Path, progress: Progress) -> Path:
    """The file to give to a sandbox host; built when the cache has none of these sources, tools and CPU.

    The file is native code, so the folder must be ours alone. Two that build at once: one waits for the other.
    """
    make_private(cache)
    artifact = cache / f"python-{digest()[:24]}.cwasm"
    with _locked(cache):
        if not artifact.exists():
            _build(artifact, progress)
    check_private(artifact)
    artifact.touch()
    return artifact


def digest() -> str:
    """Of everything that the artefact depends on."""
    parts = [f"{name} {version(name)}" for name in ("componentize-py", "wasmtime", "tzdata")]
    parts.append(processor())
    parts += [f"{path.name} {path.read_text()}" for path in sorted(SOURCES.iterdir()) if path.is_file()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(artifact: Path, progress: Progress) -> None:
    for interrupted in artifact.parent.glob("building-*"):  # nobody else's: we hold the lock
        shutil.rmtree(interrupted, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=artifact.parent, prefix="building-") as folder:
        component = Path(folder) / "python.wasm"
        progress("building the Python guest (about 10 s) ...")
        _componentize(component)
        progress("compiling the Python guest for this CPU (about 10 s) ...")
        native = Path(folder) / "python.cwasm"
        native.touch(mode=0o600)
        native.write_bytes(compile_component(component.read_bytes()))
        native.rename(artifact)
    _forget_old(artifact.parent)
    progress("the Python guest is ready")


def _forget_old(cache: Path) -> None:
    """Guests of other versions that nobody asked for in a month."""
    for artifact in cache.glob("python-*.cwasm"):
        if time.time() - artifact.stat().st_mtime > KEEP_SECONDS:
            artifact.unlink()


def _componentize(component: Path) -> None:
    """In a process of its own, told of no virtual environment: nothing but the guest's library and time zones may get in."""
    tool = "from componentize_py import script; script()"
    sources, packages = str(SOURCES), component.parent / "packages"
    shutil.copytree(str(files("tzdata")), packages / "tzdata", ignore=shutil.ignore_patterns("__pycache__"))
    paths = ["-p", sources, "-p", str(packages)]
    options = ["-q", "-d", sources, "-w", "python", "componentize", *paths, "app", "-o", str(component)]
    environment = {"VIRTUAL_ENV": str(component.parent), "PATH": os.defpath}
    command = [sys.executable, "-I", "-c", tool, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603 (constants and our paths)
    if done.returncode != 0:
        raise RuntimeUnavailable(f"componentize-py failed: {done.stderr.strip() or done.stdout.strip()}")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.guests.build", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="the folder that keeps what was built")
    folder = parser.parse_args(arguments).to
    try:
        sys.stdout.write(f"{ensure_guest(folder, _say)}\n")
    except RuntimeUnavailable as exc:
        parser.exit(1, f"{exc}\n")


if __name__ == "__main__":
    main()
