"""A file that the system does not let us use is named, with what would help."""

import errno
import os
from pathlib import Path

import pytest

from api.gateway import bound
from api.home import write_default_config
from core.errors import ConfigurationError
from core.filelock import exclusive
from core.unusable import name_of, unusable


@pytest.mark.parametrize(
    ("number", "help_"),
    [
        (errno.EACCES, "{owner}: give it to the user who runs Paddock (chown)"),
        (errno.EMFILE, "; allow more open files (`ulimit -n 4096`)"),
        (errno.ENOSPC, "; make room on its disk"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_would_help_is_told(tmp_path: Path, number: int, help_: str) -> None:
    file = tmp_path / "a file"
    file.touch()
    told = unusable(file, OSError(number, os.strerror(number))).message
    assert told.startswith(f"{file} cannot be used: {os.strerror(number)}")
    assert told.endswith(help_.format(owner=f"; it belongs to {name_of(os.geteuid())}"))


def test_what_is_in_the_way_may_be_a_directory_above(tmp_path: Path) -> None:
    told = unusable(tmp_path / "nowhere" / "file", PermissionError(errno.EACCES, "Permission denied")).message
    assert f"; {tmp_path} belongs to {name_of(os.geteuid())}" in told


def test_a_lock_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"^{tmp_path} cannot be used: Is a directory"), exclusive(tmp_path, "taken"):
        pass


def test_a_configuration_that_is_a_link_to_nowhere_is_told_and_kept(tmp_path: Path) -> None:
    link = tmp_path / "paddock.yaml"
    link.symlink_to(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigurationError, match=r"is a link to '.*nowhere\.yaml', which cannot be found"):
        write_default_config(link)
    assert link.is_symlink()


@pytest.mark.parametrize(
    ("port", "number", "other"), [(80, errno.EACCES, 8080), (65535, errno.EADDRINUSE, 8080), (90, errno.EADDRINUSE, 91)]
)
def test_the_port_that_is_advised_is_one_that_can_be_had(
    monkeypatch: pytest.MonkeyPatch, port: int, number: int, other: int
) -> None:
    class Refusing:
        def __init__(self, *_: int) -> None: ...
        def __enter__(self) -> "Refusing":
            return self

        def __exit__(self, *_: object) -> None: ...
        def setsockopt(self, *_: int) -> None: ...
        def bind(self, _address: object) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr("api.gateway.socket.socket", Refusing)
    with pytest.raises(ConfigurationError, match=rf"PADDOCK_PORT={other}\b"), bound("127.0.0.1", port):
        pass
