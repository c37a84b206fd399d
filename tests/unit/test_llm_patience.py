import asyncio

import pytest

from core.llm.patience import Patience


async def value(seconds: float = 0) -> str:
    await asyncio.sleep(seconds)
    return "value"


async def test_what_comes_in_time_is_given() -> None:
    patience = Patience()
    assert [await patience.wait(value(), 60) for _ in range(3)] == ["value"] * 3
    patience.close()


async def test_what_takes_too_long_is_cancelled() -> None:
    patience = Patience()
    never = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await patience.wait(never, 0.01)
    assert never.cancelled()


async def test_a_time_out_leaves_no_cancellation_behind() -> None:
    patience = Patience()
    with pytest.raises(TimeoutError):
        await patience.wait(value(60), 0.01)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert await value(0.01) == "value"


async def test_a_limit_that_is_over_already_runs_out_at_once() -> None:
    patience = Patience()
    with pytest.raises(TimeoutError):
        await patience.wait(value(60), -1)


async def test_a_shorter_limit_after_a_longer_one_holds() -> None:
    patience = Patience()
    await patience.wait(value(), 60)
    with pytest.raises(TimeoutError):
        await patience.wait(value(60), 0.01)


async def test_a_timer_that_rings_between_two_waits_does_not_stop_the_later_one() -> None:
    patience = Patience()
    await patience.wait(value(), 0.01)
    await asyncio.sleep(0.03)
    assert await patience.wait(value(0.01), 60) == "value"
    await patience.wait(value(), 0.02)
    assert await patience.wait(value(0.05), 60) == "value"
    patience.close()


async def test_a_cancellation_from_outside_stays_one() -> None:
    patience = Patience()
    task = asyncio.create_task(patience.wait(value(60), 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    patience.close()


async def test_an_error_passes_through() -> None:
    async def broken() -> None:
        raise LookupError("broken")

    patience = Patience()
    with pytest.raises(LookupError):
        await patience.wait(broken(), 60)
    patience.close()
