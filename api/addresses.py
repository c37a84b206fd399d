"""The text of an internet address, read. Knows no request."""

from ipaddress import IPv4Address, IPv6Address, ip_address


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """None for what is no address. A socket of IPv6 calls an IPv4 peer `::ffff:a.b.c.d`: here it is the IPv4 address that rules
    for networks speak of.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
