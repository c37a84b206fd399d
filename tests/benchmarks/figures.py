"""What was measured, as one table that people read and one file that is kept. Knows nothing of how it was measured."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """ours, theirs: in `unit`, medians unless `what` says another percentile. theirs is None where there is no peer, or `note`
    says why there is no figure of it.

    at_most, at_least: what is aimed at for `ours`; times: the same for the ratio.
    """

    what: str
    unit: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    more_is_better: bool = False
    at_most: float | None = None
    at_least: float | None = None
    times: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer's; below 1 it is worse."""
        if self.theirs is None or not self.ours or not self.theirs:
            return None
        return self.ours / self.theirs if self.more_is_better else self.theirs / self.ours

    @property
    def aim(self) -> str:
        if self.at_most is not None:
            return f"<= {self.at_most:g}: {_met(self.ours <= self.at_most)}"
        if self.at_least is not None:
            return f">= {self.at_least:g}: {_met(self.ours >= self.at_least)}"
        if self.times is not None and self.ratio is not None:
            return f">= {self.times:g} x: {_met(self.ratio >= self.times)}"
        return ""


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


def table(figures: Iterable[Figure]) -> str:
    rows = [("what", "unit", "Paddock", "peer", "ratio", "aim", "")]
    for figure in figures:
        theirs = "" if figure.theirs is None else f"{figure.peer} {_number(figure.theirs)}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} x"
        rows.append((figure.what, figure.unit, _number(figure.ours), theirs, ratio, figure.aim, figure.note))
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percentile(values: Sequence[float], percent: float) -> float:
    """By the nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


def store(folder: Path, name: str, figures: Sequence[Figure], about: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    rows = [{**asdict(figure), "ratio": figure.ratio} for figure in figures]
    file.write_text(json.dumps({**about, "figures": rows}, indent=1) + "\n")
    return file
