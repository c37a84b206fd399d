"""The only module that reads the environment: where things are, what a client takes from it, and what children get.

It imports no setting: a command that only asks a server starts without them.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from core.errors import ConfigurationError

ENVIRONMENT: Mapping[str, str] = os.environ
CLIENT_VARIABLES = ("PADDOCK_URL", "PADDOCK_KEY", "PADDOCK_MODEL")
PASSED_ON = re.compile(r"PATH|HOME|TMPDIR|LANG|LC_\w+|TZ|LD_LIBRARY_PATH|(CUDA|NVIDIA|GGML|LLAMA|VK|OMP|HIP|ROCR)_\w+")
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)


def places(environment: Mapping[str, str] = ENVIRONMENT) -> tuple[Path, Path]:
    """PADDOCK_HOME and PADDOCK_CONFIG, for what has to make them before settings can be loaded."""
    data = environment.get("XDG_DATA_HOME") or "~/.local/share"
    home = _absolute(environment.get("PADDOCK_HOME") or f"{data}/paddock")
    return home, _absolute(environment.get("PADDOCK_CONFIG") or str(home / "paddock.yaml"))


def client_variables(environment: Mapping[str, str] = ENVIRONMENT) -> dict[str, str]:
    """What `paddock chat` and `paddock keys` take from the environment: where the server is, and as whom to ask."""
    names = (*CLIENT_VARIABLES, "PADDOCK_HOST", "PADDOCK_PORT")
    return {name: environment[name] for name in names if environment.get(name)}


def passed_on(environment: Mapping[str, str] = ENVIRONMENT) -> dict[str, str]:
    """The part of the environment that child processes get: paths, locale, accelerators; nothing that sounds like a secret."""
    return {name: value for name, value in environment.items() if PASSED_ON.fullmatch(name) and not SECRET.search(name)}


def _absolute(text: str) -> Path:
    try:
        return Path(os.path.abspath(Path(text).expanduser()))
    except RuntimeError as exc:
        raise ConfigurationError(f"{exc}; set PADDOCK_HOME to an absolute path") from exc
