"""Limits as this process alone can keep them, while Redis is away: a minute's requests and tokens, and turns at once.

What it lets through is not counted against days and months: turns are in the books, from which those are counted anew.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.storage.limiter import Left, Refused, Subject

MOST = 10_000
"""Subjects that are remembered; the one that was quiet for longest is forgotten first."""


@dataclass(slots=True)
class _Bucket:
    requests: float
    tokens: float
    at: float
    running: int = 0


class LocalBuckets:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, subjects: Sequence[Subject], *, tokens: int) -> Sequence[Left] | Refused:
        """As `LimitCounters.admit`: for all subjects or for none."""
        buckets = [self._filled(subject) for subject in subjects]
        for n, (subject, bucket) in enumerate(zip(subjects, buckets, strict=True)):
            if refusal := _refusal(subject, bucket, tokens):
                limit, seconds = refusal
                left = {"requests": int(bucket.requests), "tokens": int(bucket.tokens)}
                return Refused(subject=n, limit=limit, seconds=seconds, **left)
        for bucket in buckets:
            bucket.requests -= 1
            bucket.tokens -= tokens
            bucket.running += 1
        return [Left(since="", unseeded=False, requests=int(b.requests), tokens=int(b.tokens)) for b in buckets]

    def settle(self, subjects: Sequence[Subject], *, reserved: int, used: int) -> None:
        for subject in subjects:
            bucket = self._filled(subject)
            bucket.tokens = min(subject.allowance.tokens_per_minute, bucket.tokens + reserved - used)
            bucket.running = max(0, bucket.running - 1)

    def _filled(self, subject: Subject) -> _Bucket:
        allowance, now = subject.allowance, self._clock()
        bucket = self._buckets.pop(subject.id, None)
        if bucket is None:
            bucket = _Bucket(requests=allowance.requests_per_minute, tokens=allowance.tokens_per_minute, at=now)
        minutes = (now - bucket.at) / 60
        bucket.requests = min(allowance.requests_per_minute, bucket.requests + minutes * allowance.requests_per_minute)
        bucket.tokens = min(allowance.tokens_per_minute, bucket.tokens + minutes * allowance.tokens_per_minute)
        bucket.at = now
        self._buckets[subject.id] = bucket
        if len(self._buckets) > MOST:
            del self._buckets[next(iter(self._buckets))]
        return bucket


def _refusal(subject: Subject, bucket: _Bucket, tokens: int) -> tuple[str, float] | None:
    allowance = subject.allowance
    need = min(tokens, allowance.tokens_per_minute)
    if bucket.running >= allowance.concurrent_turns:
        return "concurrent_turns", 1.0
    if bucket.requests < 1:
        return "requests_per_minute", (1 - bucket.requests) * 60 / allowance.requests_per_minute
    if bucket.tokens < need:
        return "tokens_per_minute", (need - bucket.tokens) * 60 / allowance.tokens_per_minute
    return None
