"""What a terminal may be shown of what others wrote. It knows no command."""

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Without control characters: neither a model, a guest nor a server is trusted with our terminal."""
    return CONTROL.sub("", text)
