"""Who is told by webhook: an address that somebody chose, and the key of its signatures."""

from dataclasses import dataclass, field

from yarl import URL

from core.egress.addresses import AddressRules, literal
from core.egress.shares import NOBODY

LONGEST_URL = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """url: itself a secret with many receivers. owner: the organisation; nobody for the operator's own."""

    url: str = field(repr=False)
    key: bytes = field(repr=False)
    owner: str = NOBODY


def check_url(text: str, rules: AddressRules | None = None) -> str:
    """An address that may be written down as a receiver's. Raises ValueError.

    rules: for one without a name; where a name leads is judged at each attempt.
    """
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if len(text) > LONGEST_URL or url.scheme not in ("https", "http") or not url.host or url.user or url.password:
        raise ValueError(f"expected an http(s) address of at most {LONGEST_URL} characters without user name and password")
    address = literal(url.host)
    if rules is not None and address is not None and (refusal := rules.refusal(address)):
        raise ValueError(refusal)
    return text
