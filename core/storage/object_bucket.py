"""Objects in an S3 bucket. boto3's calls block: each runs in a thread, under boto3's own timeouts."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import NotFound
from core.storage.objects import (
    CHUNK_BYTES,
    LARGEST_BYTES,
    Objects,
    ObjectsUnavailable,
    StoredObject,
    checked,
    not_answering,
    storing,
    taking,
    too_large,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

T = TypeVar("T")
THREADS = 8
IN_MEMORY_BYTES = 8 * 2**20
MISSING = {"404", "NoSuchKey", "NotFound"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """None leaves a value to boto3: its configuration files, the instance's role."""

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)


@asynccontextmanager
async def open_bucket(bucket: Bucket) -> AsyncIterator[Objects]:
    objects = _Bucket(bucket)
    try:
        yield objects
    finally:
        for threads in (objects.threads, objects.checks):
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)  # a second signal is heard meanwhile
        objects.client.close()


class _Bucket:
    def __init__(self, bucket: Bucket) -> None:
        self.name = bucket.name
        self.prefix = f"{bucket.prefix}/" if bucket.prefix else ""
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="objects")
        self.checks = ThreadPoolExecutor(1, thread_name_prefix="objects.check")  # large uploads may have all the others
        self.client = _client(bucket)

    async def put(self, key: str, body: AsyncIterable[bytes], *, limit_bytes: int = LARGEST_BYTES) -> StoredObject:
        """The body is held, on disk when it is large, until it is whole: its length comes before its bytes in S3."""
        full = self._key(key)
        size = 0
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as held:
            async for piece in body:
                size += len(piece)
                if size > limit_bytes:
                    raise too_large(limit_bytes)
                await self._run(_writing(held, piece))
            held.seek(0)
            await storing(self._run(lambda: self.client.upload_fileobj(held, self.name, full)))
        return StoredObject(key=key, bytes=size)

    async def take(self, key: str, file: Path) -> None:
        full = self._key(key)
        await taking(self, key, self._run(lambda: self.client.upload_file(str(file), self.name, full)))

    async def stream(self, key: str) -> AsyncGenerator[bytes, None]:
        full = self._key(key)
        try:
            body = (await self._run(lambda: self.client.get_object(Bucket=self.name, Key=full)))["Body"]
        except ObjectsUnavailable as exc:
            if _is_missing(exc):
                raise NotFound(f"no object {key!r}") from exc
            raise
        try:
            while piece := await self._run(lambda: body.read(CHUNK_BYTES)):
                yield piece
        finally:
            body.close()

    async def exists(self, key: str) -> bool:
        full = self._key(key)
        try:
            await self._run(lambda: self.client.head_object(Bucket=self.name, Key=full))
        except ObjectsUnavailable as exc:
            if _is_missing(exc):
                return False
            raise
        return True

    async def delete(self, key: str) -> None:
        full = self._key(key)
        await self._run(lambda: self.client.delete_object(Bucket=self.name, Key=full))

    async def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        pages = iter(self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix + prefix))
        while page := await self._run(lambda: next(pages, None)):
            for entry in page.get("Contents", []):
                yield StoredObject(key=entry["Key"].removeprefix(self.prefix), bytes=entry["Size"])

    async def check(self) -> None:
        await self._run(lambda: self.client.head_bucket(Bucket=self.name), self.checks)

    def _key(self, key: str) -> str:
        return self.prefix + checked(key)

    async def _run(self, act: Callable[[], T], threads: ThreadPoolExecutor | None = None) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads or self.threads, act)
        except OSError as exc:  # also of the disk that holds a body until it is whole
            raise not_answering("the object storage", exc) from exc
        except (BotoCoreError, Boto3Error, ClientError) as exc:
            raise ObjectsUnavailable(f"the bucket {self.name!r} does not answer: {_reason(exc)}") from exc


def _client(bucket: Bucket) -> "S3Client":
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"total_max_attempts": 3, "mode": "standard"},
        max_pool_connections=THREADS,
        request_checksum_calculation="when_required",  # servers other than Amazon's refuse the newer kinds
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if bucket.endpoint else "auto"},
    )
    return boto3.client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
        config=config,
    )


def _writing(file: "tempfile.SpooledTemporaryFile[bytes]", piece: bytes) -> Callable[[], int]:
    return lambda: file.write(piece)


def _is_missing(error: ObjectsUnavailable) -> bool:
    cause = error.__cause__
    return isinstance(cause, ClientError) and cause.response["Error"]["Code"] in MISSING


def _reason(error: Exception) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
