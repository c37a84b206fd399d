"""Where a caller stands with its limits, as headers: OpenAI's names, and its way to write a time. Knows no limit."""

from core.limits.standing import STANDING

NAMES = tuple(f"x-ratelimit-{what}-{unit}" for unit in ("requests", "tokens") for what in ("limit", "remaining", "reset"))


def ratelimit_headers() -> list[tuple[bytes, bytes]]:
    """Of the request that is being answered; none where nothing was counted."""
    standing = STANDING.get()
    if standing is None:
        return []
    values = [
        text
        for meter in (standing.requests, standing.tokens)
        for text in (str(meter.limit), str(meter.remaining), duration(meter.reset_seconds))
    ]
    return [(name.encode(), value.encode()) for name, value in zip(NAMES, values, strict=True)]


def duration(seconds: float) -> str:
    """`20ms`, `1s`, `6m0s`, `1h2m3s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
