"""Merkle trees as RFC 6962 (section 2.1) has them, over hashes that are known. Pure.

A level that is odd hands its last node on unchanged, which is the same tree as the RFC's split at a power of two.
"""

from collections.abc import Sequence
from hashlib import sha256

HASH_BYTES = 32


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """At least one leaf."""
    level = leaves
    while len(level) > 1:
        level = _above(level)
    return level[0]


def paths_of(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """For each leaf the hashes that lead from it to the root, from below (RFC 6962's audit path)."""
    paths: list[list[bytes]] = [[] for _ in leaves]
    level, width = leaves, 1
    while len(level) > 1:
        for n, path in enumerate(paths):
            beside = (n // width) ^ 1
            if beside < len(level):
                path.append(level[beside])
        level, width = _above(level), width * 2
    return paths


def hidden_nodes(leaves: Sequence[bytes], shown: Sequence[bool]) -> list[bytes]:
    """The roots of the largest subtrees in which nothing is shown, from left to right: what a reader lacks for the root."""
    if not any(shown):
        return [root_of(leaves)]
    if all(shown):
        return []
    middle = 1 << (len(leaves) - 1).bit_length() - 1  # the largest power of two that is less than their number
    return hidden_nodes(leaves[:middle], shown[:middle]) + hidden_nodes(leaves[middle:], shown[middle:])


def _above(level: Sequence[bytes]) -> list[bytes]:
    pairs = iter(level)
    above = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
    if len(level) % 2:
        above.append(level[-1])
    return above
