"""What an export says of each checkpoint in it, so that its records can be checked without us. Pure.

One JSON object a checkpoint: its signed note, and of each wanted organisation the hashes of the records that are shown, the
roots of what is hidden between them, and the path from there to the checkpoint's root. Hashes are base64 of all bytes in a row.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from core.audit.merkle import HASH_BYTES, hidden_nodes, leaf_hash, root_of
from core.storage.audit_reading import Sealed
from core.storage.audit_shapes import Section

TAMPERED = "its seals are not those that were signed: an organization's were removed or changed, perhaps with its records"


@dataclass(frozen=True, slots=True)
class Proven:
    """lines: the records to write, in the order of the proof. problems: where the table is not what was sealed.

    removed: how many records are not there any more because their time was over.
    """

    proof: dict[str, Any]
    lines: list[str]
    problems: list[str]
    removed: int


def prove(sealed: Sealed) -> Proven:
    """Records that are not as they were sealed are written as they are, all of their section, so that a reader sees which."""
    lines: list[str] = []
    sections: list[dict[str, Any]] = []
    problems = [] if _leads_to_the_root(sealed) else [f"checkpoint {sealed.number}: {TAMPERED}"]
    for section in sealed.sections:
        rows = sealed.rows.get(section.organization_id, [])
        leaves = [leaf_hash(line.encode()) for _, line in rows]
        shown = [wanted for wanted, _ in rows]
        if section.leaves is None:
            leaves, shown = [], []
        elif b"".join(leaves) != section.leaves:
            problems.append(
                f"checkpoint {sealed.number}: the records of {section.organization_id} are not those that were sealed"
            )
            leaves, shown, rows = split(section.leaves), [True] * section.size, [(True, line) for _, line in rows]
        gone = {"removed": True} if section.leaves is None else {}
        sections.append({**_section(section, leaves, shown), "of": len(sealed.leaves) // HASH_BYTES, **gone})
        lines += [line for wanted, line in rows if wanted]
    for organization_id in sealed.rows.keys() - {section.organization_id for section in sealed.sections}:
        problems.append(f"checkpoint {sealed.number}: records of {organization_id} were added after it was sealed")
        lines += [line for _, line in sealed.rows[organization_id]]
    removed = sum(section.size for section in sealed.sections if section.leaves is None)
    return Proven({"note": sealed.note, "sections": sections}, lines, problems, removed)


def _leads_to_the_root(sealed: Sealed) -> bool:
    """Else a proof could lack what was taken out of the table together with its seal, and nobody would miss it."""
    leaves = split(sealed.leaves)
    return bool(leaves) and sealed.note.split("\n")[2:3] == [_base64([root_of(leaves)])]


def _section(section: Section, leaves: Sequence[bytes], shown: Sequence[bool]) -> dict[str, Any]:
    return {
        "organization": section.organization_id,
        "first": section.first,
        "size": section.size,
        "place": section.place,
        "path": _base64([section.path]),
        "shown": _ranges(shown),
        "leaves": _base64([leaf for leaf, wanted in zip(leaves, shown, strict=True) if wanted]),
        "hidden": _base64(hidden_nodes(leaves, shown) if leaves else [section.root]),
    }


def _ranges(shown: Sequence[bool]) -> list[tuple[int, int]]:
    """[from, to) of those that are shown."""
    found, n = [], 0
    for wanted, run in groupby(shown):
        length = len(list(run))
        if wanted:
            found.append((n, n + length))
        n += length
    return found


def split(leaves: bytes) -> list[bytes]:
    """Hashes that were joined."""
    return [leaves[n : n + HASH_BYTES] for n in range(0, len(leaves), HASH_BYTES)]


def _base64(parts: Sequence[bytes]) -> str:
    return base64.b64encode(b"".join(parts)).decode()
