"""Figures say which way is good: a ratio that is upside down would praise what is slow."""

from tests.benchmarks.figures import Figure, percentile, table


def test_half_the_peers_time_is_twice_as_good() -> None:
    assert Figure(what="latency", unit="ms", ours=5.0, peer="p", theirs=10.0).ratio == 2.0


def test_twice_the_peers_rate_is_twice_as_good() -> None:
    assert Figure(what="rate", unit="1/s", ours=10.0, peer="p", theirs=5.0, more_is_better=True).ratio == 2.0


def test_an_aim_that_is_missed_says_so() -> None:
    missed = Figure(what="memory", unit="MB", ours=201.0, at_most=200)
    met = Figure(what="rate", unit="1/s", ours=10.0, peer="p", theirs=1.0, more_is_better=True, times=10)
    assert "MISSED" in table([missed])
    assert "met" in table([met])


def test_without_a_peer_there_is_no_ratio_and_the_row_says_why() -> None:
    figure = Figure(what="rate", unit="1/s", ours=10.0, peer="p", times=10, note="p: could not be installed")
    assert figure.ratio is None
    assert "could not be installed" in table([figure])
    assert "met" not in table([figure])


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([5.0, 1.0, 3.0], 50) == 3.0
    assert percentile([float(n) for n in range(100)], 99) == 99.0
