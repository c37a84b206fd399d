"""A POST that carries an `Idempotency-Key` is done once: who sends it again, with the same body, gets the same answer.

A stored turn is answered again from its journal, streams byte for byte, also while it runs. Every other answer is kept under
a seal that the caller's own secret opens, and nothing else. A caller is a key, or the user of a bearer token, whose tokens come
and go: there the seal is the server's.
"""

import asyncio
import hashlib
import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.dependencies import WorkCut, authenticated, authenticated_again, platform_of, read_body
from api.errors import AnswerLost, KeyReused, status_of
from api.multipart import OVERHEAD_BYTES, boundary_of
from api.streaming import EventStream
from api.wire.sse import HEARTBEAT
from core.bootstrap import Platform
from core.conversations.request import TurnRequest
from core.errors import Conflict, InvalidRequest, PaddockError, TooLarge, Unavailable
from core.identity.principals import Principal
from core.identity.seal import seal, unseal
from core.storage.idempotency import CLAIM_SECONDS, IdempotencyStore, Known
from core.storage.records import Turn

HEADER = "idempotency-key"
LONGEST_KEY = 255
LARGEST_ANSWER_BYTES = 8 * 2**20
TURNS = frozenset({"/v1/responses", "/v1/chat/completions"})
"""What begins a turn. Where no turn says that it was accepted for the request, nothing has happened yet."""
REPLAYED = {"idempotent-replayed": "true"}

Work = Callable[[Request], Awaitable[Response]]


async def once(request: Request, template: str, work: Work, *, form: bool) -> Response:
    """The answer of `work`, or the one that the key has already. template: of the route. form: its body is a multipart one.

    Raises InvalidRequest for what is no key, KeyReused, Conflict (`idempotency_in_progress`), AnswerLost, and what `work` does.
    """
    platform, attempt = platform_of(request), await _attempt(request, template)
    asked = Digest(request)
    if form:
        request = asked.reading(request)
    else:
        body = await read_body(request, platform.settings.limits.request_body_bytes)
        asked.add(body)
        request = _with_body(request, body)
    known = await attempt.take(None if form else asked.told())
    if known is None:
        return await attempt.make(request, work, asked)
    if form:
        await _drain(request, most=platform.files.largest_bytes + OVERHEAD_BYTES)
        await authenticated_again(request)
    if known.request not in (None, asked.told()):
        raise KeyReused("this Idempotency-Key was used for another request: take a new one")
    return await attempt.again(request, work, asked, known)


async def begun(request: Request, principal: Principal, asked: Callable[[], Awaitable[TurnRequest]]) -> Turn:
    """The turn that answers the request: a new one, or the one that was accepted for its key.

    asked: for a new one; it may look up what is gone by the time that somebody asks again. Raises what it does, and `start`.
    """
    turns = platform_of(request).turns
    attempt: Attempt | None = request.scope["state"].get("attempt")
    if attempt is None:
        return await _begun_without_key(request, principal, await asked())
    if attempt.turn_id is not None:
        return await turns.get(principal, attempt.turn_id)
    turn = await turns.start(principal, await asked(), idempotency=attempt.id)
    attempt.turn_id, attempt.turn_stored = turn.id, turn.stored
    return turn


async def _begun_without_key(request: Request, principal: Principal, asked: TurnRequest) -> Turn:
    """From when it may be accepted on the rim knows the turn: whoever asks again would have another one."""
    state = request.scope["state"]

    def may_be_accepted(turn_id: str) -> None:
        state["turn_id"] = turn_id

    try:
        return await platform_of(request).turns.start(principal, asked, on_offer=may_be_accepted)
    except PaddockError as error:
        if status_of(error) < 500:  # refused
            state.pop("turn_id", None)
        raise


def may_be_asked_again(request: Request) -> None:
    """Its turn is over and has left nothing."""
    request.scope["state"].pop("turn_id", None)


class Attempt:
    """One request with a key. turn_id: of the turn that was accepted for it, now or before."""

    def __init__(
        self, store: IdempotencyStore, principal: Principal, caller_secrets: Sequence[str], key: str, template: str
    ) -> None:
        """caller_secrets: the first seals, each of them opens."""
        named = json.dumps([principal.organization_id, principal.counted_as, key])
        self.id = hashlib.sha256(named.encode()).hexdigest()
        self.turn_id: str | None = None
        self.turn_stored = False
        self._claim = secrets.token_hex(16)
        self._home = principal.organization_id
        self._secrets = caller_secrets
        self._begins_turn = template in TURNS
        self._store = store

    async def take(self, asked: str | None) -> Known | None:
        return await self._store.take(self._home, self.id, claim=self._claim, request=asked)

    async def make(self, request: Request, work: Work, asked: "Digest") -> Response:
        async with self._held():
            try:
                response = await work(request)
            except BaseException as exc:
                await asyncio.shield(self._give_up(exc))
                raise
            _final(response)
            if self.turn_stored:  # its journal is the answer from now on
                await self._let_go()
                return response
            if not isinstance(response, EventStream):
                await self.keep(asked, response, bytes(response.body))
                return response
        return KeptStream(response, self, asked)

    async def again(self, request: Request, work: Work, asked: "Digest", known: Known) -> Response:
        if known.answer is not None:
            return self._open(known.answer)
        if known.turn_stored:
            self.turn_id, self.turn_stored = known.turn_id, True
            response = await work(request)
            _final(response)
            response.headers.update(REPLAYED)
            return response
        if known.working:
            raise Conflict("the same request is being answered: come again", code="idempotency_in_progress")
        if known.turn_id is None and self._begins_turn:
            if await self._store.take_over(self._home, self.id, was=known.claim, claim=self._claim):
                return await self.make(request, work, asked)
            raise Conflict("the same request is being answered: come again", code="idempotency_in_progress")
        raise AnswerLost("this request was begun before, and its answer is not known: look for what it did, and take a new key")

    async def keep(self, asked: "Digest", response: Response, body: bytes) -> None:
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in response.raw_headers]
        told = {"status": response.status_code, "headers": headers, "body": b64encode(body).decode()}
        kept = len(body) <= LARGEST_ANSWER_BYTES
        answer = seal(self._secrets[0], self.id, json.dumps(told).encode()) if kept else None
        await self._store.keep(self._home, self.id, self._claim, request=asked.told(), answer=answer)

    @asynccontextmanager
    async def holding(self) -> AsyncGenerator[None, None]:
        """The claim is renewed; at the end it is let go."""
        async with self._held():
            try:
                yield
            finally:
                await asyncio.shield(self._let_go())

    @asynccontextmanager
    async def _held(self) -> AsyncGenerator[None, None]:
        renewing = asyncio.create_task(self._renew(), name="idempotency")
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(CLAIM_SECONDS / 3)
            with suppress(Unavailable):
                await self._store.hold(self._home, self.id, self._claim)

    async def _let_go(self) -> None:
        with suppress(Unavailable):  # then it runs out
            await self._store.let_go(self._home, self.id, self._claim)

    async def _give_up(self, why: BaseException) -> None:
        """What was refused, or was never asked to its end, has done nothing; of anything else nobody knows."""
        refused = isinstance(why, PaddockError) and status_of(why) < 500
        nothing = refused or (isinstance(why, ClientDisconnect) and not isinstance(why, WorkCut))
        end = self._store.forget if nothing and self.turn_id is None else self._store.let_go
        with suppress(Unavailable):
            await end(self._home, self.id, self._claim)

    def _open(self, answer: bytes) -> Response:
        opened = (unseal(secret, self.id, answer) for secret in self._secrets)
        plain = next((plain for plain in opened if plain is not None), None)
        if plain is None:
            raise AnswerLost("this request was answered before, and its answer cannot be opened")
        told = json.loads(plain)
        response = Response(b64decode(told["body"]), told["status"])
        response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told["headers"]]
        response.headers.update(REPLAYED)
        return response


class KeptStream(Response):
    """The stream of an unstored turn: what was sent of it to its end is kept. One that was left is an answer nobody has."""

    def __init__(self, stream: EventStream, attempt: Attempt, asked: "Digest") -> None:
        super().__init__(status_code=stream.status_code)
        self.raw_headers = stream.raw_headers
        self._stream = stream
        self._attempt = attempt
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = bytearray()

        async def send_and_keep(message: Message) -> None:
            if message["type"] == "http.response.body" and (piece := message.get("body", b"")) != HEARTBEAT:
                sent.extend(piece[: LARGEST_ANSWER_BYTES + 1 - len(sent)])
                if not message.get("more_body", False):
                    await self._attempt.keep(self._asked, self, bytes(sent))
            await send(message)

        async with self._attempt.holding():
            await self._stream(scope, receive, send_and_keep)


class Digest:
    """Of what is asked: path, query and body. A form's boundary, which is another one each time, does not count."""

    def __init__(self, request: Request) -> None:
        self._hash = hashlib.sha256(request.scope["path"].encode() + b"?" + request.scope["query_string"] + b"\n")
        self._boundary = b""
        self._rest = b""

    def add(self, piece: bytes) -> None:
        if not self._boundary:
            self._hash.update(piece)
            return
        data = (self._rest + piece).replace(self._boundary, b"\n")
        held = len(self._boundary) - 1
        self._hash.update(data[:-held])
        self._rest = data[-held:]

    def told(self) -> str:
        """Of all so far."""
        whole = self._hash.copy()
        whole.update(self._rest)
        return whole.hexdigest()

    def reading(self, request: Request) -> Request:
        """The form, which is added while it is read."""
        self._boundary = b"--" + boundary_of(request)

        async def receive() -> Message:
            message = await request.receive()
            if message["type"] == "http.request":
                self.add(message.get("body", b""))
            return message

        return Request(request.scope, receive)


def _final(response: Response) -> None:
    """Who asks again with the key is told the same."""
    if response.status_code >= 400:
        response.headers["x-should-retry"] = "false"


async def _attempt(request: Request, template: str) -> Attempt:
    keys = request.headers.getlist(HEADER)
    if len(keys) != 1 or not 0 < len(keys[0]) <= LONGEST_KEY:
        message = f"an Idempotency-Key has 1 to {LONGEST_KEY} characters, and a request one of them"
        raise InvalidRequest(message, param=HEADER, code="invalid_idempotency_key")
    platform: Platform = platform_of(request)
    principal = await authenticated(request)
    caller_secrets: Sequence[str] = [request.headers["authorization"].partition(" ")[2].strip()]
    if principal.counted_as == principal.user_id:
        caller_secrets = platform.keyring.derived(f"idempotency of {principal.user_id}")
    attempt = Attempt(platform.idempotency, principal, caller_secrets, keys[0], template)
    request.scope["state"]["attempt"] = attempt
    return attempt


def _with_body(request: Request, body: bytes) -> Request:
    """One that can be read as if nobody had."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return first.pop() if first else await request.receive()

    return Request(request.scope, receive)


async def _drain(request: Request, *, most: int) -> None:
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise TooLarge(f"the body is larger than {most} bytes")
