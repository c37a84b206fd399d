"""Server-sent events: how our events are framed. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from typing import NamedTuple

HEARTBEAT = b": still here\n"
"""No blank line behind it: once it has seen an id, the OpenAI SDK takes that for the end of an event, an empty one."""
DONE = b"data: [DONE]\n\n"


class WireEvent(NamedTuple):
    """One event as a client sees it. data: JSON text of one line that carries `number` as its `sequence_number`."""

    number: int
    type: str
    data: str


def frame(event: WireEvent) -> bytes:
    """`id` is the sequence number, so that a browser that comes back says where it was (Last-Event-ID)."""
    return f"event: {event.type}\nid: {event.number}\ndata: {event.data}\n\n".encode("ascii")


def last_frame(event: WireEvent) -> bytes:
    """For an event that belongs to this connection and not to the turn: without an id, it is nothing to resume after."""
    return f"event: {event.type}\ndata: {event.data}\n\n".encode("ascii")


def data_frame(data: str) -> bytes:
    return f"data: {data}\n\n".encode("ascii")
