"""Which addresses may be spoken to on behalf of somebody else. Knows no name: one means what it resolves to."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import inet_aton, inet_ntoa

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Nobody's to open: this host by another name, link-local with its metadata services, multicast, and what clouds put elsewhere.
NEVER = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/4",
            "255.255.255.255/32",
            "100.100.100.200/32",  # metadata at Alibaba
            "168.63.129.16/32",  # at Azure
            "192.0.0.192/32",  # at Oracle
            "::/128",
            "fe80::/10",
            "ff00::/8",
            "fd00:ec2::254/128",  # at Amazon
            "fd20:ce::254/128",  # at Google
        ),
    )
)
# IANA's registries of special purposes (RFC 6890 and later): not the Internet, but an operator may have use for them.
PRIVATE_V4 = tuple(
    IPv4Network(block)
    for block in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
    )
)
GLOBAL_V6 = IPv6Network("2000::/3")
PRIVATE_V6 = tuple(IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "3fff::/20"))
NAT64, LOCAL_NAT64 = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48")
EVERY_NETWORK = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
"""What is allowed to an operator's own addresses."""
MAPPED = (IPv6Network("::ffff:0:0/96"), IPv6Network("::ffff:0:0:0/96"), IPv6Network("::/96"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """allow_private: the operator's exceptions. What is in NEVER is not among them, whatever they say."""

    allow_private: Sequence[Network] = ()

    def refusal(self, text: str) -> str | None:
        """Why there must be no connection to the address, which has no name in it any more; None when there may be."""
        address = ip_address(text.partition("%")[0])
        for real in _meant(address):
            if _within(real, NEVER):
                return f"the address {text} is never spoken to"
            if not _within(real, self.allow_private) and not _is_public(real):
                return f"the address {text} is private; the operator can allow it (egress.allow_private)"
        return None


def literal(host: str) -> str | None:
    """The address that a URL's host is, also in the old spellings that resolvers take (`127.1`, `0x7f.1`); None for a name."""
    with suppress(ValueError):
        return str(ip_address(host.partition("%")[0]))
    with suppress(OSError, ValueError):
        return inet_ntoa(inet_aton(host))
    return None


def _meant(address: Address) -> Iterator[Address]:
    """The address, or instead of it the IPv4 addresses that are written in it."""
    if isinstance(address, IPv4Address):
        yield address
    elif address in LOCAL_NAT64:
        yield from _translated(address)
    elif any(address in block for block in (NAT64, *MAPPED)) and int(address) > 1:
        yield IPv4Address(int(address) & 0xFFFF_FFFF)
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    else:
        yield address


def _translated(address: IPv6Address) -> Iterator[IPv4Address]:
    """What a translator may read in it: where, its operator chose (RFC 6052, section 2.2). Empty positions are none."""
    octets = address.packed
    readings = [octets[12:], octets[6:8] + octets[9:11], octets[7:8] + octets[9:12], octets[9:13]]
    yield from [IPv4Address(four) for four in readings if four[0]] or [IPv4Address(octets[12:])]


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not _within(address, PRIVATE_V4)
    return address in GLOBAL_V6 and not _within(address, PRIVATE_V6)


def _within(address: Address, blocks: Sequence[Network]) -> bool:
    return any(address.version == block.version and address in block for block in blocks)
