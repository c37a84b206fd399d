"""The small parts of the sandbox: states, the output cap, what is private, the open folder, the guest's build."""

import asyncio
import os
import time
from itertools import product
from pathlib import Path

import pytest

from sandbox import RuntimeUnavailable, SandboxBusy, Stream, runtimes
from sandbox.capture import Capture
from sandbox.guests import build
from sandbox.lifecycle import MOVES, Lifecycle, WorkerState
from sandbox.places import Places
from sandbox.private import check_private, make_private

LEGAL = {
    ("starting", "idle"),
    ("idle", "running"),
    ("running", "idle"),
    *product(("starting", "idle", "running"), ("killed", "gone")),
    ("killed", "gone"),
}


@pytest.mark.parametrize(("before", "after"), list(product(WorkerState, WorkerState)))
def test_a_worker_makes_legal_moves_only(before: WorkerState, after: WorkerState) -> None:
    lifecycle = Lifecycle()
    lifecycle.state = before
    if (before, after) in LEGAL:
        lifecycle.move(after)
        assert lifecycle.state is after
    else:
        with pytest.raises(RuntimeError, match=f"a worker that is {before} cannot become {after}"):
            lifecycle.move(after)
        assert lifecycle.state is before


def test_every_state_but_the_last_leads_to_the_last() -> None:
    assert {state for state, moves in MOVES.items() if WorkerState.GONE not in moves} == {WorkerState.GONE}


async def ask(places: Places, *owners: str) -> list[asyncio.Task[None]]:
    asked = [asyncio.create_task(places.take(owner)) for owner in owners]
    await asyncio.sleep(0)
    return asked


def served(asked: list[asyncio.Task[None]]) -> list[bool]:
    return [task.done() for task in asked]


@pytest.mark.parametrize(("total", "most"), [(1, 1), (2, 1), (4, 3), (10, 7), (72, 54)])
async def test_an_owner_is_left_most_places_and_nobody_all_but_who_says_no_name(total: int, most: int) -> None:
    assert sum(served(await ask(Places(total, 1000), *["a"] * total))) == most
    assert sum(served(await ask(Places(total, 1000), *[""] * total))) == total


async def test_a_place_that_is_free_again_goes_to_the_owner_who_has_fewest_and_there_to_the_first() -> None:
    places = Places(4, 16)
    asked = await ask(places, "a", "a", "a", "b", "b", "c", "a", "c")
    assert served(asked) == [True, True, True, True, False, False, False, False]
    for expected in ([5], [5], [5, 6]):  # c had none; the last one is kept for who has none; then a has none
        places.give_back("a")
        await asyncio.sleep(0)
        assert [n for n in range(4, 8) if asked[n].done()] == expected


async def test_who_goes_on_goes_before_the_owners_others_and_needs_no_room_in_the_line() -> None:
    places = Places(1, 1)
    first, waiting = await ask(places, "a", "a")
    again = asyncio.create_task(places.take_again("a"))
    await asyncio.sleep(0)
    places.give_back("a")
    await asyncio.sleep(0)
    assert (first.done(), waiting.done(), again.done()) == (True, False, True)


async def test_who_goes_on_goes_before_owners_who_have_none_and_takes_the_last_place() -> None:
    places = Places(4, 16)
    await ask(places, "a", "a", "b", "c")
    again = asyncio.create_task(places.take_again("a"))
    [new] = await ask(places, "d")
    places.give_back("b")
    await asyncio.sleep(0)
    assert (again.done(), new.done()) == (True, False)
    places.give_back("a")
    await asyncio.sleep(0)
    assert new.done()


async def test_who_leaves_before_it_goes_on_leaves_what_it_was_just_given_to_others() -> None:
    places = Places(1, 2)
    await ask(places, "a")
    leaving, given = (asyncio.create_task(places.take_again("a")) for _ in range(2))
    [waiting] = await ask(places, "b")
    leaving.cancel()
    await asyncio.sleep(0)
    places.give_back("a")
    given.cancel()
    await asyncio.wait([leaving, given])
    await asyncio.sleep(0)
    assert (leaving.cancelled(), given.cancelled(), waiting.done()) == (True, True, True)


async def test_who_leaves_the_line_leaves_its_place_there_and_what_it_was_just_given_to_others() -> None:
    places = Places(1, 2)
    _, leaving, given, last = await ask(places, "a", "b", "c", "d")
    assert isinstance(last.exception(), SandboxBusy)
    leaving.cancel()
    places.give_back("a")
    given.cancel()
    await asyncio.wait([leaving, given])
    assert (leaving.cancelled(), given.cancelled()) == (True, True)
    assert served(await ask(places, "a", "b", "c")) == [True, False, False]


def test_output_is_passed_on_and_kept_up_to_the_cap_of_both_streams_together() -> None:
    seen: list[tuple[Stream, bytes]] = []
    capture = Capture(5, lambda *piece: seen.append(piece))
    for stream, data in ((Stream.STDOUT, b"ab"), (Stream.STDERR, b"cd"), (Stream.STDOUT, b"efg"), (Stream.STDERR, b"h")):
        capture.write(stream, data)

    assert (capture.stdout, capture.stderr, capture.truncated) == (b"abe", b"cd", True)
    assert seen == [(Stream.STDOUT, b"ab"), (Stream.STDERR, b"cd"), (Stream.STDOUT, b"e")]


def test_output_of_exactly_the_cap_is_whole() -> None:
    capture = Capture(2, lambda *_: None)
    capture.write(Stream.STDOUT, b"ab")
    capture.write(Stream.STDOUT, b"")

    assert (capture.stdout, capture.truncated) == (b"ab", False)


def test_a_private_folder_is_made_closed_to_others(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o722])
def test_a_folder_that_others_can_open_is_not_private(tmp_path: Path, mode: int) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(mode)

    with pytest.raises(RuntimeUnavailable, match="closed to others"):
        make_private(tmp_path / "open")


def test_a_link_is_not_private_whatever_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o600)
    (tmp_path / "link").symlink_to(tmp_path / "file")

    check_private(tmp_path / "file")
    with pytest.raises(RuntimeUnavailable, match="must belong to this user"):
        check_private(tmp_path / "link")


def test_the_folder_of_runtimes_lists_its_files_and_says_so_of_one_that_is_not_there() -> None:
    assert "wasmtime" in runtimes.available()
    with pytest.raises(LookupError, match=r"unknown runtime 'abacus'; available: .*wasmtime"):
        runtimes.load("abacus")


def test_the_name_of_the_guest_depends_on_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.digest()
    for path in build.SOURCES.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(build, "SOURCES", tmp_path)

    assert build.digest() == before
    (tmp_path / "app.py").write_text((tmp_path / "app.py").read_text() + "# changed\n")
    assert build.digest() != before


async def test_two_that_build_the_guest_at_once_build_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the steps of a build make of the sources is shown by all tests that run the guest (`tests.sandboxing.guest`)."""

    def slowly(component: Path) -> None:
        time.sleep(0.3)  # in which the other one asks as well
        component.touch()

    monkeypatch.setattr(build, "_componentize", slowly)
    monkeypatch.setattr(build, "compile_component", lambda component: b"native code")
    said: list[str] = []
    cache = tmp_path / "guests"

    built = await asyncio.gather(*(asyncio.to_thread(build.ensure_guest, cache, said.append) for _ in range(2)))

    assert built[0] == built[1]
    assert said.count("the Python guest is ready") == 1
    assert sorted(os.listdir(cache)) == sorted(["lock", built[0].name])
    assert built[0].stat().st_mode & 0o777 == 0o600
    assert build.ensure_guest(cache, said.append) == built[0]
    assert said.count("the Python guest is ready") == 1


def test_what_an_interrupted_build_left_goes_with_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_componentize", lambda component: component.touch())
    monkeypatch.setattr(build, "compile_component", lambda component: b"native code")
    make_private(tmp_path / "guests")
    (tmp_path / "guests" / "building-x" / "packages").mkdir(parents=True)

    built = build.ensure_guest(tmp_path / "guests", lambda _: None)

    assert sorted(os.listdir(tmp_path / "guests")) == sorted(["lock", built.name])


def test_a_guest_that_others_could_have_changed_is_not_given_out(tmp_path: Path) -> None:
    make_private(tmp_path / "guests")
    artifact = tmp_path / "guests" / f"python-{build.digest()[:24]}.cwasm"
    artifact.write_bytes(b"native code")
    artifact.chmod(0o666)

    with pytest.raises(RuntimeUnavailable, match="must belong to this user"):
        build.ensure_guest(tmp_path / "guests", lambda _: None)
