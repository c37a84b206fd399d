"""Reads the string under the top-level key `code` out of a JSON object that arrives in pieces. It judges nothing."""

import re

_PLAIN = re.compile(r'[^"\\]+')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class CodeArgument:
    """Linear in the input, whatever the pieces are. Malformed JSON gives what could be read until the mistake.

    Of a key that comes twice the first one counts.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._key = ""  # the latest top-level key
        self._key_parts: list[str] = []
        self._expects_key = False
        self._in_string = False
        self._wanted = False  # the string we are in is the code
        self._found = False
        self._escape: str | None = None  # what has come of an escape sequence, after the backslash
        self._high = ""  # the first half of a surrogate pair

    def feed(self, piece: str) -> str:
        """The characters of the code that this piece completes."""
        decoded: list[str] = []
        at = 0
        while at < len(piece):
            if self._in_string and self._escape is None and (run := _PLAIN.match(piece, at)):
                self._take(run.group(), decoded)
                at = run.end()
            else:
                self._step(piece[at], decoded)
                at += 1
        return "".join(decoded)

    def _step(self, char: str, decoded: list[str]) -> None:
        if self._escape is not None:
            self._unescape(self._escape + char, decoded)
        elif not self._in_string:
            self._structure(char)
        elif char == "\\":
            self._escape = ""
        else:
            self._close_string(decoded)

    def _structure(self, char: str) -> None:
        if char == '"':
            self._in_string = True
            self._key_parts.clear()
            self._wanted = self._depth == 1 and not self._expects_key and not self._found and self._key == "code"
            self._found |= self._wanted
        elif char in "{[":
            self._depth += 1
            self._expects_key = self._depth == 1 and char == "{"
        elif char in "}]":
            self._depth -= 1
        elif char == "," and self._depth == 1:
            self._expects_key = True

    def _close_string(self, decoded: list[str]) -> None:
        self._flush_half(decoded)
        self._in_string = False
        if self._expects_key and self._depth == 1:
            self._key = "".join(self._key_parts)
            self._expects_key = False
        self._wanted = False

    def _take(self, text: str, decoded: list[str]) -> None:
        self._flush_half(decoded)
        if self._wanted:
            decoded.append(text)
        elif self._expects_key and self._depth == 1:
            self._key_parts.append(text)

    def _unescape(self, escape: str, decoded: list[str]) -> None:
        if escape in _ESCAPES:
            self._escape = None
            self._take(_ESCAPES[escape], decoded)
        elif escape[0] == "u" and len(escape) < 5:
            self._escape = escape
        else:
            self._escape = None
            self._take_unit(escape, decoded)

    def _take_unit(self, escape: str, decoded: list[str]) -> None:
        """A UTF-16 code unit; halves of a pair that stand alone become U+FFFD."""
        try:
            unit = int(escape[1:], 16)
        except ValueError:
            return
        if 0xD800 <= unit < 0xDC00:
            self._flush_half(decoded)
            self._high = chr(unit)
        elif 0xDC00 <= unit < 0xE000 and self._high:
            pair = (ord(self._high) - 0xD800) * 0x400 + (unit - 0xDC00) + 0x10000
            self._high = ""
            self._take(chr(pair), decoded)
        else:
            self._take("\ufffd" if 0xDC00 <= unit < 0xE000 else chr(unit), decoded)

    def _flush_half(self, decoded: list[str]) -> None:
        if self._high:
            self._high = ""
            self._take("\ufffd", decoded)


def code_of(arguments: str) -> str:
    """The same reading, of the whole at once."""
    return CodeArgument().feed(arguments)
