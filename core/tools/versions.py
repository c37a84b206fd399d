"""Tool versions that this process has seen, by digest: a digest says what it stands for, so no entry grows old."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from core.errors import Unavailable
from core.tools.definition import ToolVersion, stored_version

KEPT_BYTES = 32_000_000


class Versions:
    """Those that were asked for last, as many as fit. most_bytes: of their manifests."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, ToolVersion] = OrderedDict()

    def find(self, digests: Iterable[str]) -> dict[str, ToolVersion]:
        found = {digest: self._kept[digest] for digest in digests if digest in self._kept}
        for digest in found:
            self._kept.move_to_end(digest)
        return found

    def add(self, manifests: Mapping[str, str]) -> dict[str, ToolVersion]:
        """By digest. Raises Unavailable for a manifest that is not what its digest says."""
        added = {digest: _genuine(digest, manifest) for digest, manifest in manifests.items()}
        for digest, version in added.items():
            if digest not in self._kept:
                self._bytes += len(version.manifest)
            self._kept[digest] = version
        while self._bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.manifest)
        return added


def _genuine(digest: str, manifest: str) -> ToolVersion:
    version = stored_version(manifest)
    if version.digest != digest:
        raise Unavailable(f"the manifest of tool version {digest} is not what its digest says", code="tool_version_damaged")
    return version
