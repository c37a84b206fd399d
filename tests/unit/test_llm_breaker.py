import pytest

from core.llm.breaker import Breaker, State
from core.llm.contract import ModelUnavailable
from core.llm.declaration import Breaker as Limits

LIMITS = Limits(failures=3, window_seconds=60, cooldown_seconds=30)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("m", LIMITS, clock=clock)


@pytest.fixture
def opened(breaker: Breaker) -> Breaker:
    for _ in range(3):
        breaker.failed(breaker.admit())
    return breaker


def test_it_opens_after_so_many_failures_in_a_row(breaker: Breaker) -> None:
    breaker.failed(breaker.admit())
    breaker.failed(breaker.admit())
    assert breaker.state is State.CLOSED
    breaker.failed(breaker.admit())
    assert breaker.state is State.OPEN


def test_an_open_breaker_says_how_long_and_does_not_count_itself(opened: Breaker, clock: Clock) -> None:
    clock.now += 10
    with pytest.raises(ModelUnavailable, match="'m' is not asked for another 20 s") as caught:
        opened.admit()
    assert (caught.value.counts, caught.value.retry_after) == (False, 20)


def test_a_success_forgets_the_failures_before_it(breaker: Breaker) -> None:
    for _ in range(5):
        breaker.failed(breaker.admit())
        breaker.failed(breaker.admit())
        breaker.succeeded(breaker.admit())
    assert breaker.state is State.CLOSED


def test_failures_far_apart_do_not_open_it(breaker: Breaker, clock: Clock) -> None:
    for _ in range(10):
        breaker.failed(breaker.admit())
        clock.now += 31
    assert breaker.state is State.CLOSED


def test_after_the_cooldown_one_probe_goes_through_and_the_others_do_not(opened: Breaker, clock: Clock) -> None:
    clock.now += 30
    assert opened.admit() is True
    assert opened.state is State.HALF_OPEN
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="being tried again"):
            opened.admit()


def test_a_probe_that_succeeds_closes_it(opened: Breaker, clock: Clock) -> None:
    clock.now += 30
    opened.succeeded(opened.admit())
    assert opened.state is State.CLOSED
    assert opened.admit() is False


def test_a_probe_that_fails_opens_it_for_another_cooldown(opened: Breaker, clock: Clock) -> None:
    clock.now += 30
    opened.failed(opened.admit())
    clock.now += 29
    with pytest.raises(ModelUnavailable):
        opened.admit()
    clock.now += 1
    assert opened.admit() is True


def test_a_probe_without_a_verdict_lets_the_next_one_try(opened: Breaker, clock: Clock) -> None:
    clock.now += 30
    opened.abandoned(opened.admit())
    assert opened.admit() is True


def test_a_probe_that_is_heard_lets_the_others_through_while_it_goes_on(opened: Breaker, clock: Clock) -> None:
    clock.now += 30
    opened.admit()
    opened.heard()
    assert opened.admit() is False
    opened.failed(False)
    assert opened.state is State.OPEN


def test_what_was_asked_before_it_opened_neither_closes_nor_prolongs_it(opened: Breaker, clock: Clock) -> None:
    clock.now += 20
    opened.succeeded(False)
    opened.failed(False)
    assert opened.state is State.OPEN
    clock.now += 10
    assert opened.admit() is True
    opened.succeeded(False)
    opened.failed(False)
    assert opened.state is State.HALF_OPEN
