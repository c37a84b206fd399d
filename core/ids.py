"""Identifiers: a prefix that tells what is named, then 32 hex digits that sort by time of making."""

import secrets
import time


def new_id(prefix: str) -> str:
    """`prefix_` + 48 bits of milliseconds + 80 random bits (the layout of UUIDv7 without its version marks)."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
