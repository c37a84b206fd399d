"""Checks an export of the audit log, offline: it needs the export's files and the public key that the auditor holds.

It shares no code with what seals and exports, on purpose, and imports nothing of Paddock: it can be read, and copied, alone.
Trees and proofs are RFC 6962's (section 2.1), checkpoints are C2SP signed notes (https://c2sp.org/signed-note), keys Ed25519.
Files are read once, from front to back; what an attacker may have put into them costs no more memory than honest ones (but for
Parquet, which Arrow reads: a small file may hold much). Only regular files are opened: links lead elsewhere, pipes never end.
"""

import base64
import csv
import hashlib
import json
import re
import stat
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BufferedReader, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

WINDOW = 65_536  # how many records may be missing or added in a row and be told one by one
TOLD = 1_000  # problems, after which it stops looking
LONGEST_LINE = 64 * 2**20
LARGEST_MANIFEST = 16 * 2**20
SIGNATURE_BYTES = 64
MOST_VALUES = 500_000
"""That a JSON text may hold: each costs a hundred times the byte that it takes. Honest ones have 150,000."""
NOTES_TOLD = 100
BEFORE_ENDS = "paddock.audit.export/1"  # an export of then has no proof of its ends, and no signed word of removals
LEFT_OUT = "left_out.jsonl"
SKEW = timedelta(days=1)  # of servers' clocks, where a note does not say when its records were made
Thing = TypeVar("Thing", bound="_Hashed")
GUARDED = re.compile(r"'+[=+\-@\t\r]")
WRONG = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError)
PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(slots=True)
class Report:
    """problems: nothing is wrong when there are none. hidden: records that are sealed there and not shown; removed: by age.

    not_compared: numbers of kept checkpoints that are not among those of the export. export, organization, made_at: as the
    manifest says, be it signed or not.

    everybody: it is an export of all organisations. One of a single organisation shows no gap between its sections; that none
    is left out before the first and after the last of them is what the server says, whose signature the manifest has.

    proves_ends: not so in the first format. notes: what the server says that the export lacks, be the manifest signed or not.
    """

    origin: str = ""
    first: int = 0
    last: int = 0
    records: int = 0
    hidden: int = 0
    removed: int = 0
    organizations: int = 0
    everybody: bool = False
    export: str = ""
    organization: str = ""
    made_at: str = ""
    proves_ends: bool = True
    not_compared: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    filter: Mapping[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def wrong(self, problem: str) -> None:
        self.problems.append(problem)
        if len(self.problems) >= TOLD:
            raise EnoughFound


class EnoughFound(Exception):
    """More problems are found than anybody reads."""


class Unreadable(Exception):
    """What should be checked is no export, or a key is no key."""


def verify(directory: Path, public_keys: Sequence[bytes], kept_notes: Sequence[str] = ()) -> Report:
    """public_keys: PEM. kept_notes: checkpoints that were noted down earlier; the export must agree with them.

    Raises Unreadable.
    """
    keys = [_key(pem) for text in public_keys for pem in _each_key(text)]
    report = Report()
    manifest = _manifest(directory, keys, report)
    report.filter, report.removed, report.everybody = manifest["filter"], manifest["removed"], manifest["everybody"]
    report.export, report.organization, report.made_at = manifest["id"], manifest["whose"], manifest["made_at"]
    report.proves_ends, report.notes = manifest["proves_ends"], manifest["notes"]
    try:
        _check_files(directory, manifest, report)
        chain = _Chain(keys, report, kept_notes, since=manifest["since"], until=manifest["until"])
        if manifest["before"] is not None:
            chain.leave_out([manifest["before"]])
        expected = chain.records(_lines(directory / "proofs.jsonl", report))
        rows = _rows(directory, manifest, report)
        _Comparison(expected, rows, report).run()
        if LEFT_OUT in manifest["files"]:
            chain.leave_out(_notes(_lines(directory / LEFT_OUT, report)))
        _check_ends(manifest, chain, report)
        chain.check_kept()
    except EnoughFound:
        report.problems.append("there are more problems; it is useless to look further")
    return report


# --- the manifest and its files ---


def _manifest(directory: Path, keys: Sequence["_Key"], report: Report) -> Mapping[str, Any]:
    try:
        with _opened(directory / "manifest.json") as file:
            text = file.read(LARGEST_MANIFEST)
        with _opened(directory / "manifest.sig") as file:
            signature = file.read(SIGNATURE_BYTES + 1)
        manifest = _loaded(text)
        files = {entry["name"]: (int(entry["bytes"]), str(entry["sha256"])) for entry in manifest["files"]}
        known = {**manifest, "files": files, "records": int(manifest["records"]), "format": str(manifest["format"])}
        first, last = (int(manifest["checkpoints"][end]) for end in ("first", "last"))
        left_out = {name: str(value) for name, value in dict(manifest["filter"]).items() if value}
        removed, everybody = _count(manifest.get("removed", 0)), manifest["organization"] == "all"
        problems = [str(problem) for problem in manifest.get("problems", ())]
        ends = {
            "proves_ends": manifest["manifest"] != BEFORE_ENDS,
            "since": _moment(left_out.get("since")),
            "until": _moment(left_out.get("until")),
            "before": _optional(manifest.get("before")),
            "removal": _removal(manifest.get("removal")),
            "notes": [str(note) for note in manifest.get("notes", ())[:NOTES_TOLD]],
            "made_at": str(manifest["made_at"]),
            "id": str(manifest["id"]),
            "whose": str(manifest["organization"]),
        }
    except OSError as exc:
        raise Unreadable(f"{exc.filename}: {exc.strerror}; an export has manifest.json and manifest.sig") from exc
    except WRONG as exc:
        raise Unreadable(f"{directory / 'manifest.json'} is no manifest of an export") from exc
    if not any(key.signed(text, signature) for key in keys):
        report.wrong("manifest.json: its signature is by none of the given keys: it was changed, or another key signed it")
    told = {"removed": removed, "everybody": everybody, "problems": problems}
    return {**known, **told, **ends, "first": first, "last": last, "filter": left_out}


def _optional(value: object) -> str | None:
    return None if value is None else str(value)


def _moment(value: object) -> datetime | None:
    """In milliseconds, which is what records' ids have. Raises one of WRONG."""
    if value is None:
        return None
    moment = datetime.fromisoformat(str(value))
    return datetime.fromtimestamp(int(moment.timestamp() * 1000) / 1000, UTC)


@dataclass(frozen=True, slots=True)
class _Removal:
    """What the log says of the newest records that were removed. signature: None for a word of before they were signed."""

    first: int
    last: int
    archive: str
    sha256: str
    signature: bytes | None

    def text(self, origin: str) -> bytes:
        told = f"paddock.audit.removed\n{origin}\n{self.first}\n{self.last}\n{self.archive}\n{self.sha256}\n"
        return told.encode(errors="replace")  # what is no Unicode, nobody has signed


def _removal(told: Any) -> _Removal | None:
    """Raises one of WRONG."""
    if told is None:
        return None
    signature = None if told["signature"] is None else _bytes(told["signature"])
    return _Removal(_count(told["first"]), _count(told["last"]), str(told["archive"]), str(told["sha256"]), signature)


def _check_files(directory: Path, manifest: Mapping[str, Any], report: Report) -> None:
    for name, (size, sha256) in manifest["files"].items():
        if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name):
            report.wrong(f"manifest.json names {name!r}, which is no file of an export")
            continue
        try:
            with _opened(directory / name) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                found = file.tell()
        except OSError as exc:
            raise Unreadable(f"{exc.filename}: {exc.strerror}; manifest.json names it") from exc
        if found != size:
            report.wrong(f"{name}: it has {found} bytes, the manifest says {size}: something was cut off or added")
        elif digest != sha256:
            report.wrong(f"{name}: its SHA-256 is not the manifest's: it was changed")
    for beside in directory.iterdir():
        if beside.name not in (*manifest["files"], "manifest.json", "manifest.sig"):
            report.wrong(f"{beside.name!r} is no file of this export: nothing in it was checked")


def _check_ends(manifest: Mapping[str, Any], chain: "_Chain", report: Report) -> None:
    if (report.first, report.last) != (manifest["first"], manifest["last"]):
        report.wrong(
            f"proofs.jsonl has checkpoints {report.first} to {report.last}, the manifest says"
            f" {manifest['first']} to {manifest['last']}: checkpoints are missing"
        )
    if report.records != manifest["records"]:
        report.wrong(f"{report.records} records were found, the manifest says {manifest['records']}")
    if not manifest["filter"] and report.hidden != report.removed:
        report.wrong(f"{report.hidden - report.removed} records are hidden, though the export's filter leaves none out")
    for problem in manifest["problems"]:
        report.wrong(f"the server found, when it exported: {problem}")
    head = _optional(manifest.get("head"))
    if head is not None:
        chain.check_head(head)
    elif manifest["proves_ends"] or not manifest["until"]:
        chain.check_no_head()
    if manifest["proves_ends"]:
        chain.check_ends(head)
        chain.check_removal(manifest["removal"])


# --- keys and notes ---


@dataclass(frozen=True, slots=True)
class _Key:
    key: Ed25519PublicKey
    raw: bytes

    def signed(self, text: bytes, signature: bytes) -> bool:
        try:
            self.key.verify(signature, text)
        except InvalidSignature:
            return False
        return True


def _each_key(text: bytes) -> list[bytes]:
    """A file may hold several, one after another: those of before a change of keys."""
    end = b"-----END PUBLIC KEY-----"
    found = [part + end for part in text.split(end)[:-1]]
    if not found:
        raise Unreadable("a public key is expected in PEM: -----BEGIN PUBLIC KEY-----")
    return found


def _key(pem: bytes) -> _Key:
    try:
        key = load_pem_public_key(pem.strip())
    except ValueError as exc:
        raise Unreadable("a public key cannot be read") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise Unreadable("a public key is not for Ed25519")
    return _Key(key, key.public_bytes(Encoding.Raw, PublicFormat.Raw))


@dataclass(frozen=True, slots=True)
class _Note:
    """A checkpoint's signed text. digest: what the next one calls `previous`.

    earliest: when the first of its records was made; latest: when the last was of all until it. A note of before does not say
    it: then earliest is None, and its records were made before it was sealed.
    """

    origin: str
    number: int
    root: bytes
    previous: bytes
    digest: bytes
    signed: bool
    earliest: datetime | None
    latest: datetime | None


def _note(text: str, keys: Sequence[_Key]) -> _Note:
    """Raises one of WRONG when it is none."""
    body, _, signatures = text.partition("\n\n")
    body += "\n"
    origin, number, root, previous = body.split("\n")[:4]
    word, _, digest = previous.partition(" ")
    if word != "previous" or len(_bytes(root)) != 32:
        raise ValueError("not a checkpoint")
    signed = any(_signature_holds(line, origin, body.encode(), keys) for line in signatures.splitlines())
    times = _times(body.split("\n")[4:-1])
    return _Note(origin, int(number), _bytes(root), _bytes(digest), hashlib.sha256(body.encode()).digest(), signed, *times)


def _times(lines: Sequence[str]) -> tuple[datetime | None, datetime | None]:
    """Raises one of WRONG."""
    said = {word: told.split(" ") for word, _, told in (line.partition(" ") for line in lines)}
    if "made" in said:
        earliest, latest = (datetime.fromisoformat(told).astimezone(UTC) for told in said["made"])
        return earliest, latest
    sealed = datetime.fromisoformat(said["sealed"][0]).astimezone(UTC) + SKEW if "sealed" in said else None
    return None, sealed


def _signature_holds(line: str, origin: str, body: bytes, keys: Sequence[_Key]) -> bool:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.rpartition(" ")
    if dash != "\u2014" or name != origin:
        return False
    signature = _bytes(encoded)
    for key in keys:
        key_hash = hashlib.sha256(origin.encode() + b"\n\x01" + key.raw).digest()[:4]
        if signature[:4] == key_hash and key.signed(body, signature[4:]):
            return True
    return False


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _notes(lines: Iterable[bytes]) -> Iterator[str]:
    for line in lines:
        try:
            yield str(_loaded(line)["note"])
        except WRONG:
            yield ""


# --- the chain of checkpoints, and what they say of each record ---


@dataclass(frozen=True, slots=True)
class _Expected:
    """A record that the log has: its hash, whose it is, and its number among theirs."""

    leaf: bytes
    organization: str
    number: int

    @property
    def name(self) -> str:
        return f"record {self.number} of {self.organization}"


class _Chain:
    """Fed with the lines of proofs.jsonl."""

    def __init__(
        self,
        keys: Sequence[_Key],
        report: Report,
        kept_notes: Sequence[str],
        *,
        since: datetime | None,
        until: datetime | None,
    ) -> None:
        self._keys = keys
        self._report = report
        self._kept = [self._kept_note(text) for text in kept_notes]
        self._compared: set[int] = set()
        self._since = since
        self._until = until
        self._first: _Note | None = None
        self._last: _Note | None = None
        self._removed_records = 0
        self._removed: _Note | None = None  # the newest checkpoint of which records are gone
        self._dated_removed: _Note | None = None  # the newest such one that says when its records were made
        self._seen: dict[str, int] = {}  # how many records of each organisation came so far

    def records(self, lines: Iterable[bytes]) -> Iterator[_Expected]:
        for n, line in enumerate(lines, start=1):
            try:
                proof = _loaded(line)
                note = _note(proof["note"], self._keys)
                sections = [_Section.of(section) for section in proof["sections"]]
            except WRONG:
                self._report.wrong(f"proofs.jsonl, line {n}: it cannot be read: it was changed")
                continue
            self._link(note)
            self._report.first, self._report.last = self._report.first or note.number, note.number
            if self._report.everybody:
                self._check_all_are_there(sections, note)
            for section in sections:
                yield from self._section(section, note)
        self._report.organizations = len(self._seen)

    def leave_out(self, texts: Iterable[str]) -> None:
        """Notes of checkpoints of which the export has no records: the time of them all is not the export's."""
        for text in texts:
            try:
                note = _note(text, self._keys)
            except WRONG:
                self._report.wrong("a checkpoint that is left out cannot be read: it was changed")
                continue
            self._link(note)
            if not self._is_too_old(note) and not self._is_too_young(note):
                self._report.wrong(f"checkpoint {note.number} is left out, though it may have records of the export's time")

    def check_head(self, text: str) -> None:
        """The newest checkpoint of the log when the export was made: notes that were kept must not be newer."""
        try:
            head = _note(text, self._keys)
        except WRONG:
            self._report.wrong("manifest.json: its head is no checkpoint")
            return
        if head.number not in self._compared:
            self._compare(head)
        self._check_kept_until(head.number)

    def check_no_head(self) -> None:
        """It names no newest checkpoint of the log: that is the last one it has."""
        self._check_kept_until(self._last.number if self._last else 0)

    def _check_kept_until(self, number: int) -> None:
        for kept in self._kept:
            if kept.number > number:
                self._report.wrong(
                    f"the log ends at checkpoint {number}, but you have kept checkpoint {kept.number}:"
                    " what came after was cut off"
                )

    def check_ends(self, head: str | None) -> None:
        """All checkpoints until the head are there, be it without records, but for those whose records are all too old."""
        if self._first is not None and self._first.number != 1 and not self._is_too_old(self._first):
            self._report.wrong(f"the export begins at checkpoint {self._first.number}: those before it are missing")
        try:
            newest = None if head is None else _note(head, self._keys).digest
        except WRONG:
            return  # that is told
        if newest != (self._last and self._last.digest):
            number = self._last.number if self._last else 0
            self._report.wrong(f"checkpoint {number} is not the newest of the log, which the manifest has: some are missing")

    def check_removal(self, removal: _Removal | None) -> None:
        """Hashes of records may be gone up to where the archiver has signed that their time was over."""
        report = self._report
        if self._removed_records != report.removed:
            report.wrong(f"{self._removed_records} records are marked as removed, the manifest says {report.removed}")
        if self._removed is None:
            return
        gone = self._removed.number
        if removal is None or gone > removal.last:
            report.wrong(f"records of checkpoint {gone} are gone, and no word of the log says that their time was over")
        elif removal.signature is None:
            if (dated := self._dated_removed) is not None:
                report.wrong(f"records of checkpoint {dated.number} are gone, and nobody has signed that their time was over")
        elif not any(key.signed(removal.text(report.origin), removal.signature) for key in self._keys):
            report.wrong(f"records of checkpoint {gone} are gone, and the word for it is signed by none of the given keys")

    def check_kept(self) -> None:
        """What could not be compared is told, too."""
        for kept in self._kept:
            if self._report.origin and kept.origin != self._report.origin:
                self._report.wrong(f"checkpoint {kept.number}, which you have kept, is of another log, {kept.origin}")
            elif kept.number not in self._compared:
                self._report.not_compared.append(kept.number)

    def _is_too_old(self, note: _Note) -> bool:
        """And all before it are."""
        return self._since is not None and note.latest is not None and note.latest < self._since

    def _is_too_young(self, note: _Note) -> bool:
        return self._until is not None and note.earliest is not None and note.earliest >= self._until

    def _kept_note(self, text: str) -> _Note:
        try:
            return _note(text, self._keys)
        except WRONG as exc:
            raise Unreadable("a checkpoint that was kept cannot be read") from exc

    def _link(self, note: _Note) -> None:
        report, last = self._report, self._last
        if not note.signed:
            report.wrong(f"checkpoint {note.number}: its signature is by none of the given keys")
        if last is None:
            report.origin, self._first = note.origin, note
        elif note.origin != last.origin:
            report.wrong(f"checkpoint {note.number} is of another log, {note.origin}")
        elif note.number != last.number + 1:
            report.wrong(f"checkpoint {note.number} follows checkpoint {last.number}: some are missing, or out of order")
        elif note.previous != last.digest:
            report.wrong(f"checkpoint {note.number} does not follow from checkpoint {last.number}: the log was rewritten")
        self._compare(note)
        self._last = note

    def _compare(self, note: _Note) -> None:
        for kept in self._kept:
            if kept.number == note.number and kept.origin == note.origin:
                self._compared.add(kept.number)
                if kept.digest != note.digest:
                    self._report.wrong(f"checkpoint {note.number} is not the one that you have kept: the log was rewritten")

    def _check_all_are_there(self, sections: Sequence["_Section"], note: _Note) -> None:
        """A path alone proves a place in trees of several sizes: all of them together prove that there is no other place."""
        of = max((section.of_sections for section in sections), default=1)
        if len(sections) != of:
            self._report.wrong(f"checkpoint {note.number}: of {of} organizations {len(sections)} are there")
        elif {(section.place, section.of_sections) for section in sections} != {(place, of) for place in range(of)}:
            self._report.wrong(
                f"checkpoint {note.number}: its organizations are not in places of one tree: some may be left out"
            )

    def _section(self, section: "_Section", note: _Note) -> Iterator[_Expected]:
        before = self._seen.get(section.organization, 0 if self._report.first == 1 else None)
        if before is not None and before != section.first:
            self._report.wrong(
                f"checkpoint {note.number}: {section.organization} had {before} records so far, not {section.first}:"
                f" its records {before + 1} to {section.first} are missing"
            )
        self._seen[section.organization] = section.first + section.size
        self._report.hidden += section.size - len(section.leaves)
        self._removed_records += section.size - len(section.leaves) if section.removed else 0
        if section.removed or (not self._report.filter and len(section.leaves) < section.size):
            self._removed = note
            self._dated_removed = note if note.earliest is not None else self._dated_removed
        try:
            proven = section.proven_root() == note.root
        except WRONG:
            proven = False
        if not proven:
            self._report.wrong(
                f"checkpoint {note.number}: the hashes of {section.organization} do not lead to the signed root: proofs.jsonl"
                " was changed"
            )
        for place, leaf in zip(section.places(), section.leaves, strict=False):
            yield _Expected(leaf, section.organization, section.first + place + 1)


@dataclass(frozen=True, slots=True)
class _Section:
    """One organisation's records in a checkpoint. shown: ranges of those that are exported; the others are hidden.

    removed: by age, all of them.
    """

    organization: str
    first: int
    size: int
    place: int
    of_sections: int
    path: Sequence[bytes]
    shown: Sequence[tuple[int, int]]
    leaves: Sequence[bytes]
    hidden: Sequence[bytes]
    removed: bool

    @classmethod
    def of(cls, proof: Mapping[str, Any]) -> "_Section":
        """Raises one of WRONG."""
        size, first, place, of_sections = (_count(proof[name]) for name in ("size", "first", "place", "of"))
        shown, at = [(_count(start), _count(end)) for start, end in proof["shown"]], 0
        for start, end in shown:
            if not at <= start < end <= size:
                raise ValueError("ranges that overlap")
            at = end
        leaves = _hashes(proof["leaves"])
        if size == 0 or len(leaves) != sum(end - start for start, end in shown):
            raise ValueError("another number of hashes than of records")
        path, hidden = _hashes(proof["path"]), _hashes(proof["hidden"])
        removed = bool(proof.get("removed", False))
        return cls(str(proof["organization"]), first, size, place, of_sections, path, shown, leaves, hidden, removed)

    def places(self) -> Iterator[int]:
        for start, end in self.shown:
            yield from range(start, end)

    def proven_root(self) -> bytes:
        """The checkpoint's root, as it follows from our records. Raises one of WRONG where hashes are too few or too many."""
        places, hidden = list(self.places()), deque(self.hidden)

        def subtree(start: int, end: int) -> bytes:
            first, last = bisect_left(places, start), bisect_left(places, end)
            if first == last:
                return hidden.popleft()
            if last - first == end - start:
                return _root(self.leaves[first:last])
            middle = start + (1 << (end - start - 1).bit_length() - 1)  # the largest power of two below their number
            left = subtree(start, middle)
            return _parent(left, subtree(middle, end))

        root = subtree(0, self.size)
        if hidden:
            raise ValueError("more hashes than are needed")
        entry = f"{self.organization}\n{self.first}\n{self.size}\n{root.hex()}\n".encode()
        return _along(_leaf(entry), self.place, self.of_sections, self.path)


def _leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _root(leaves: Sequence[bytes]) -> bytes:
    level = list(leaves)
    while len(level) > 1:
        pairs = [_parent(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def _along(node: bytes, place: int, size: int, path: Sequence[bytes]) -> bytes:
    """From a leaf to the root of a tree of so many leaves (RFC 9162, section 2.1.3.2)."""
    last = size - 1
    for beside in path:
        if last == 0:
            raise ValueError("the path is too long")
        if place % 2 or place == last:
            node = _parent(beside, node)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            node = _parent(node, beside)
        place, last = place // 2, last // 2
    if last:
        raise ValueError("the path is too short")
    return node


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
        raise ValueError("not a number of things")
    return value


def _hashes(text: str) -> list[bytes]:
    data = _bytes(text)
    if len(data) % 32:
        raise ValueError("not SHA-256 hashes")
    return [data[n : n + 32] for n in range(0, len(data), 32)]


# --- the records, in one of four shapes ---


@dataclass(frozen=True, slots=True)
class _Row:
    """wrong: what of the row does not say what its record says."""

    leaf: bytes
    name: str
    wrong: str | None = None


def _rows(directory: Path, manifest: Mapping[str, Any], report: Report) -> Iterator[_Row]:
    shapes: Mapping[str, tuple[str, Callable[[Path, Report], Iterator[_Row]]]] = {
        "jsonl": ("records.jsonl", _from_json_lines),
        "csv": ("records.csv", _from_csv),
        "parquet": ("records.parquet", _from_parquet),
        "ocsf": ("records.ocsf.jsonl", _from_ocsf),
    }
    if manifest["format"] not in shapes:
        raise Unreadable(f"manifest.json: the format {manifest['format']!r} is not known; known: {', '.join(shapes)}")
    name, read = shapes[manifest["format"]]
    if name not in manifest["files"]:
        raise Unreadable(f"manifest.json does not name {name}")
    return read(directory / name, report)


def _from_json_lines(file: Path, report: Report) -> Iterator[_Row]:
    for n, line in enumerate(_lines(file, report), start=1):
        yield _row(line, n)


def _from_ocsf(file: Path, report: Report) -> Iterator[_Row]:
    for n, line in enumerate(_lines(file, report), start=1):
        try:
            event = _loaded(line)
            raw = str(event["raw_data"]).encode()
        except WRONG:
            yield _Row(b"", f"line {n}", "it cannot be read")
            continue
        yield _row(raw, n, None if _is_of(raw, event) else "the event does not say what its raw_data says")


def _is_of(raw: bytes, event: Any) -> bool:
    try:
        meant = _event(_loaded(raw), raw.decode())
        details = (told["unmapped"]["details"] for told in (event, meant))
        return (event == meant or _same(event, meant)) and _same(*details)  # as plain values first, which is quicker
    except WRONG:
        return False


OCSF_CLASSES = {
    # as kinds begin: class and category, with their names, and what the last word of a kind is as an activity
    "sign_in.": (3002, "Authentication", 3, {"refused": 1}),
    "user.signed_in": (3002, "Authentication", 3, {"signed_in": 1}),
    "user.": (3001, "Account Change", 3, {"created": 1, "deleted": 6, "deactivated": 5, "activated": 2}),
    "key.": (3001, "Account Change", 3, {"created": 1, "revoked": 6}),
    "organization.": (3004, "Entity Management", 3, {"created": 1, "updated": 3, "deleted": 4}),
    "": (6003, "API Activity", 6, {"created": 1, "started": 1, "updated": 3, "changed": 3, "ended": 3, "deleted": 4}),
}
OCSF_CATEGORIES = {3: "Identity & Access Management", 6: "Application Activity"}
OCSF_STATUS = {"success": (1, "Success"), "failure": (2, "Failure"), "refused": (2, "Failure"), "unknown": (0, "Unknown")}


def _event(record: Any, line: str) -> dict[str, Any]:
    """What OCSF 1.3 has to say of a record of ours. Raises one of WRONG."""
    kind, organization, outcome = record["kind"], record["organization"], record["outcome"]
    number, name, category, activities = next(known for begin, known in OCSF_CLASSES.items() if kind.startswith(begin))
    verb = kind.rpartition(".")[2]
    activity = activities.get(verb, 99)
    status_id, status = OCSF_STATUS[outcome]
    made = datetime.fromisoformat(record["time"]) - datetime(1970, 1, 1, tzinfo=UTC)
    return {
        "metadata": {
            "version": "1.3.0",
            "uid": record["id"],
            "product": {"name": "Paddock", "vendor_name": "Paddock"},
            "log_name": "audit",
            "tenant_uid": organization,
            "correlation_uid": record["request"],
            "original_time": record["time"],
        },
        "time": made // timedelta(milliseconds=1),
        "class_uid": number,
        "class_name": name,
        "category_uid": category,
        "category_name": OCSF_CATEGORIES[category],
        "activity_id": activity,
        "activity_name": verb,
        "type_uid": number * 100 + activity,
        "severity_id": 3 if outcome == "refused" else 1,
        "severity": "Medium" if outcome == "refused" else "Informational",
        "status_id": status_id,
        "status": status,
        "status_code": outcome,
        "src_endpoint": {"svc_name": "paddock"},
        "actor": {"user": {"uid": record["actor"], "credential_uid": record["key"], "org": {"uid": organization}}},
        "user": {"uid": record["object" if number == 3001 else "actor"]},
        "api": {"operation": kind, "request": {"uid": record["request"]}},
        "resources": [{"uid": record["object"], "type": kind.partition(".")[0]}],
        "unmapped": {"digest": record["digest"], "details": record["details"]},
        "raw_data": line,
    }


def _same(told: Any, meant: Any) -> bool:
    """As values of JSON: 1 is 1.0, and is not true; whole numbers of more than 64 bits may have been rounded."""
    if isinstance(told, dict) and isinstance(meant, dict):
        return told.keys() == meant.keys() and all(_same(value, meant[name]) for name, value in told.items())
    if isinstance(told, list) and isinstance(meant, list):
        return len(told) == len(meant) and all(map(_same, told, meant))
    if isinstance(told, float) and type(meant) is int:
        return told == float(meant)
    return bool(told == meant) and isinstance(told, bool) == isinstance(meant, bool)


def _from_csv(file: Path, report: Report) -> Iterator[_Row]:
    csv.field_size_limit(LONGEST_LINE)
    with _opened(file) as data, TextIOWrapper(data, encoding="utf-8", errors="replace", newline="") as text:
        try:
            rows = csv.DictReader(text)
            _check_names(rows.fieldnames or (), file, report)
            for n, row in enumerate(rows, start=1):
                yield _from_columns({name: _unguarded(cell) for name, cell in row.items()}, n)
        except csv.Error as exc:
            report.wrong(f"{file.name}: it cannot be read to its end: {exc}")


def _unguarded(cell: Any) -> Any:
    """Without the `'` that keeps spreadsheets from running a cell."""
    return cell[1:] if isinstance(cell, str) and GUARDED.match(cell) else cell


def _from_parquet(file: Path, report: Report) -> Iterator[_Row]:
    import pyarrow
    import pyarrow.parquet

    n = 0
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            _check_names(table.schema_arrow.names, file, report)
            for batch in table.iter_batches(batch_size=8_192):
                for cells in zip(*map(_cells, batch.columns), strict=True):
                    n += 1
                    yield _from_columns(dict(zip(batch.schema.names, cells, strict=True)), n)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as exc:  # a column's name; a date that is none
        report.wrong(f"{file.name}: it cannot be read to its end: {type(exc).__name__}")


def _check_names(names: Sequence[str], file: Path, report: Report) -> None:
    """Of two columns of one name, a reader sees the one that lies, and the verifier the other."""
    for name in (name for name, times in Counter(names).items() if times > 1):
        report.wrong(f"{file.name}: it has more than one column {name!r}: none of them is to be trusted")


def _cells(column: Any) -> Sequence[Any]:
    try:
        cells: Sequence[Any] = column.to_pylist()
    except UnicodeDecodeError:
        cells = [None if cell is None else cell.decode(errors="replace") for cell in column.cast("binary").to_pylist()]
    return cells


def _from_columns(row: Mapping[Any, Any], n: int) -> _Row:
    try:
        line = row["record"].encode()
        record = _loaded(line)
        columns = {name: value for name, value in row.items() if name not in ("record", "details")}
        same = all((record[name] or "") == (value or "") for name, value in columns.items())
        same = same and _same(_loaded(row["details"]), record["details"])
    except WRONG:
        return _Row(b"", f"row {n}", "it cannot be read")
    return _row(line, n, None if same else "its columns do not say what its record says")


def _row(line: bytes, n: int, wrong: str | None = None) -> _Row:
    return _Row(_leaf(line), f"row {n}, {_id_in(line)}", wrong)


def _id_in(line: bytes) -> str:
    """What the line calls itself, cheaply: a record begins `{"v":1,"id":"aud_...`."""
    return line[13:49].decode("ascii", "replace") if line[7:13] == b'"id":"' else "without an id"


def _lines(file: Path, report: Report) -> Iterator[bytes]:
    try:
        with _opened(file) as data:
            while line := data.readline(LONGEST_LINE):
                yield line.rstrip(b"\n")
    except OSError as exc:
        report.wrong(f"{file.name}: {exc.strerror}")


def _opened(file: Path) -> BufferedReader:
    """Raises Unreadable, OSError."""
    if not stat.S_ISREG(file.lstat().st_mode):
        raise Unreadable(f"{file}: it is no regular file")
    return file.open("rb")


def _loaded(text: bytes | str) -> Any:
    """Raises one of WRONG, also where readers could differ on what it says, or where it holds too much."""
    commas, brackets = (b",", (b"[", b"{")) if isinstance(text, bytes) else (",", ("[", "{"))
    if text.count(commas) + sum(map(text.count, brackets)) > MOST_VALUES:  # type: ignore[arg-type]
        raise ValueError("more values than an export has")
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a name is there twice")
    return named


# --- what the log has against what the export has ---


class _Comparison:
    """Both in order; where they differ it looks ahead in both for what fits again."""

    def __init__(self, expected: Iterator[_Expected], rows: Iterator[_Row], report: Report) -> None:
        self._expected = _Ahead(expected)
        self._rows = _Ahead(rows)
        self._report = report
        self._missing: list[tuple[bytes, str]] = []
        self._added: dict[bytes, list[str]] = {}
        self._added_rows = 0
        self._after = "at the beginning"

    def run(self) -> None:
        expected, rows = self._expected, self._rows
        while (wanted := expected.next()) is not None:
            row = rows.next()
            if row is not None and row.leaf == wanted.leaf:
                self._accept(expected.take(), rows.take())
            elif row is None:
                self._miss(expected.take())
            else:
                self._find_again(wanted, row)
        while rows.next() is not None:
            self._add(rows.take())
        self._tell_moved()

    def _find_again(self, wanted: _Expected, row: _Row) -> None:
        missing = self._expected.until(row.leaf)
        added = self._rows.until(wanted.leaf)
        if missing is None and added is None:
            self._report.wrong(f"{wanted.name} was changed ({row.name}{': ' + row.wrong if row.wrong else ''})")
            self._report.records += 1
            self._expected.take()
            self._rows.take()
        elif added is None or (missing is not None and missing <= added):
            for _ in range(missing or 0):
                self._miss(self._expected.take())
        else:
            for _ in range(added):
                self._add(self._rows.take())

    def _accept(self, expected: _Expected, row: _Row) -> None:
        self._report.records += 1
        self._after = f"after {expected.name} ({row.name})"
        if row.wrong is not None:
            self._report.wrong(f"{expected.name} ({row.name}): {row.wrong}")

    def _miss(self, expected: _Expected) -> None:
        self._missing.append((expected.leaf, f"{expected.name} is missing; its place is {self._after}"))
        self._too_many()

    def _add(self, row: _Row) -> None:
        self._added.setdefault(row.leaf, []).append(row.name)
        self._added_rows += 1
        self._report.records += 1
        self._too_many()

    def _too_many(self) -> None:
        if len(self._missing) + self._added_rows > TOLD + WINDOW:
            self._tell_moved()

    def _tell_moved(self) -> None:
        for leaf, problem in self._missing:
            added = self._added.get(leaf)
            place = problem.partition("; ")[2]
            self._report.wrong(f"{added.pop(0)} stands in the wrong place; {place}" if added else problem)
        for name in (name for names in self._added.values() for name in names):
            self._report.wrong(f"{name} was added: the log has no such record there")
        self._missing, self._added, self._added_rows = [], {}, 0


class _Hashed(Protocol):
    @property
    def leaf(self) -> bytes: ...


class _Ahead(Generic[Thing]):
    """An iterator that can be looked into, as far as the window. However often it is, each thing is looked at once."""

    def __init__(self, things: Iterator[Thing]) -> None:
        self._things = things
        self._read: deque[Thing] = deque()
        self._taken = 0
        self._places: dict[bytes, list[int]] | None = None  # of those that are read, by hash; kept while they are looked into

    def next(self) -> Thing | None:
        """The next one, which stays."""
        if not self._read:
            self._places = None
            self._read.extend(islice(self._things, 1))
        return self._read[0] if self._read else None

    def take(self) -> Thing:
        thing = self._read.popleft()
        self._taken += 1
        if self._places is not None:
            places = self._places[thing.leaf]
            del places[0]
            if not places:
                del self._places[thing.leaf]
        return thing

    def until(self, leaf: bytes) -> int | None:
        """How many stand before the first that has this hash; None when it is not within the window."""
        more = list(islice(self._things, WINDOW - len(self._read)))
        if self._places is None:
            self._places, more, self._read = {}, [*self._read, *more], deque()
        for thing in more:
            self._places.setdefault(thing.leaf, []).append(self._taken + len(self._read))
            self._read.append(thing)
        places = self._places.get(leaf)
        return places[0] - self._taken if places else None
