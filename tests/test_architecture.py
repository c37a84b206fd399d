"""Rules that import-linter cannot say, each with the outage that it prevents."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "core", "sandbox")
SOURCES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
GUEST = ROOT / "sandbox" / "guests"

ONE_PLACE = {
    # library: the folders or files that may import it
    "sqlalchemy": ("core/storage",),
    "asyncpg": ("core/storage",),
    "redis": ("core/storage",),
    "boto3": ("core/storage",),
    "alembic": ("core/storage",),
    "llama_cpp": ("core/fleet/agent",),
    "wasmtime": ("sandbox/runtimes/wasmtime",),
    "litellm": ("core/llm/backends/litellm.py",),
    "jwt": ("core/identity",),
    "fastapi": ("api",),
    "starlette": ("api",),
    "uvicorn": ("api",),
}
TOUCHES_ENVIRONMENT = {
    "core/environment.py": "reads it, for everybody",
    "core/llm/backends/litellm.py": "writes what the library reads when it is imported",
    "sandbox/runtimes/wasmtime/__main__.py": "writes what the library reads when it starts",
}
BROAD = {
    # who may catch everything, and why
    "core/conversations/running.py": "a bug ends its turn, not the server",
    "core/conversations/adoption.py": "a turn that cannot be gone on with here is left to another server; it stops no other's",
    "api/middleware.py": "a bug is a 500 with a request id, not a dropped connection",
    "api/streaming.py": "the same rim, once a stream has begun: its last event tells the request id",
    "core/storage/journal.py": "what is wrong with one turn's records fails that turn, not the writer of all",
    "core/batches/work.py": "a defect met in one batch is logged, and the batch tried again; it ends no other's work",
    "core/keeper.py": "a defect of one job is logged, and the job tried again; it ends no other job",
    "sandbox/runtimes/wasmtime/python.py": "nothing but a pointer may leave a callback of C: it traps the guest",
    "sandbox/nursery.py": "a forked worker ends, whatever happened: it must never go on as a second nursery",
}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_each_library_is_spoken_in_one_place(path: Path) -> None:
    """A vendor's change, or a vulnerability, is then one file's business."""
    for library in imported(ast.parse(path.read_text())):
        allowed = ONE_PLACE.get(library)
        assert allowed is None or relative(path).startswith(allowed), f"{relative(path)} imports {library}; only {allowed} may"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_the_environment_is_read_in_one_place(path: Path) -> None:
    """A setting that is read deep inside cannot be seen, checked or tested."""
    if relative(path) in TOUCHES_ENVIRONMENT or GUEST in path.parents:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        name = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
        assert name not in ("os.environ", "os.environb", "os.getenv", "environ", "getenv"), f"{relative(path)} reads {name}"


@pytest.mark.parametrize("path", [p for p in SOURCES if GUEST not in p.parents], ids=relative)
def test_everything_is_caught_at_the_named_posts_only(path: Path) -> None:
    """`except Exception` anywhere else hides the bug that loses somebody's turn."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught = "everything" if node.type is None else ast.unparse(node.type)
            reraises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            broad = caught in ("everything", "Exception", "BaseException")
            assert not broad or reraises or relative(path) in BROAD, f"{relative(path)}:{node.lineno} catches {caught}"


@pytest.mark.parametrize("package", ["sandbox", "core.llm.backends", "core.bootstrap", "api"])
def test_importing_does_nothing_and_pulls_in_no_heavy_library(package: str) -> None:
    """A gateway that loads a model runtime on import is slow to start and a risk for nothing."""
    heavy = ("litellm", "llama_cpp", "wasmtime", "boto3", "numpy")
    code = f"import sys, {package}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", ["sandbox.runtimes", "core.llm.backends", "core.tools.kinds"])
def test_an_open_folder_loads_what_is_in_it_and_names_it_when_asked_for_more(folder: str) -> None:
    """Dropping in a file is all that it takes; a typo is told what there is."""
    package = import_module(folder)
    names = package.available()
    assert names
    for name in names:
        assert package.load(name).__name__ == f"{folder}.{name}"
    with pytest.raises(LookupError, match=names[0]):
        package.load("nonsense")


def test_the_import_contracts_hold() -> None:
    """api -> core -> sandbox, never back."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
