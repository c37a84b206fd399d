"""A few dozen points of the many that `make crash` tries."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from tests.crash.plan import draw
from tests.crash.point import play
from tests.crash.stand import Stand, open_stand


@pytest.fixture(scope="module")
def stand(background: BlockingPortal) -> Iterator[Stand]:
    with (
        tempfile.TemporaryDirectory(prefix="paddock-crash-") as home,
        background.wrap_async_context_manager(open_stand(Path(home))) as opened,
    ):
        yield opened


@pytest.mark.parametrize("seed", range(24))
def test_whatever_dies_nothing_is_lost_and_nothing_is_done_twice(stand: Stand, background: BlockingPortal, seed: int) -> None:
    background.call(play, stand, draw(seed))
