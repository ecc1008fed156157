"""Files in an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.

Conditional writes by ETag replace locks (If-Match, If-None-Match: RFC 9110, section 13.1).
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from flyball.core import BadSetting, MissingExtra, StoreUnavailable, SystemClock, Url
from flyball.files.local import changed_meanwhile
from flyball.files.types import ABSENT, FileInfo, StoredFile

try:
    import obstore
    from obstore import exceptions
    from obstore.store import from_url
except ImportError:
    raise MissingExtra("s3://, gs:// and az://", "objects") from None

Result = TypeVar("Result")

_TIMEOUT_MS, _RETRIES = 5_000, 2
_CACHE_MB = 20_000
_CHUNK = 8 << 20
_SHARERS = 8
"""About how many processes of a machine share its copies."""
_IN_USE_NS = 3_600 * 10**9
_OPTIONS = ("endpoint", "region", "timeout_ms", "cache_mb")
_REFUSALS = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
_EXAMPLES = {"s3": "s3://bucket/shop/history", "gs": "gs://bucket/shop/history", "az": "az://account/container/history"}


class ObjectFiles:
    """`s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1&timeout_ms=5000&cache_mb=20000`.

    Keys come from the environment, by the names that the store's own tools read (AWS_ACCESS_KEY_ID, …), never from
    the URL. `timeout_ms`: how long to wait for a connection or for the next bytes, tried three times. `cache_mb`: the
    size of this machine's copies, of which those used longest ago are removed.
    """

    is_shared = True

    def __init__(self, url: Url, cache: Path) -> None:
        self.where = f"{url.scheme}://{url.path}"
        bucket = url.path.partition("/")[0]
        if not bucket or "@" in bucket:
            raise BadSetting(
                f"{url.scheme}:// must name a bucket, such as {_EXAMPLES[url.scheme]}, with keys in the environment, "
                f"got {'keys in it' if bucket else 'none'}"
            )
        url.check_options(_OPTIONS)
        self.folder = cache / hashlib.sha256(repr((self.where, url.options.get("endpoint"))).encode()).hexdigest()[:12]
        self._cache_bytes = url.integer("cache_mb", _CACHE_MB) << 20
        self._room_bytes = 0
        self._store = _open(url)

    def read(self, name: str) -> StoredFile | None:
        def work() -> StoredFile:
            response = obstore.get(self._store, name)
            return StoredFile(bytes(response.bytes()), str(response.meta["e_tag"]))

        with suppress(FileNotFoundError):
            return self._run(name, work)
        return None

    def write(self, name: str, content: bytes | Path | None, tag: str | None = None) -> None:
        if content is None:
            with suppress(FileNotFoundError):
                self._run(name, lambda: obstore.delete(self._store, name))
            (self.folder / name).unlink(missing_ok=True)
            return
        mode: Any = "overwrite" if tag is None else "create" if tag == ABSENT else {"e_tag": tag}
        try:
            self._run(name, lambda: obstore.put(self._store, name, content, mode=mode))
        except FileNotFoundError:
            raise BadSetting(f"the bucket of {self.where} must exist to be written to, got none: create it") from None

    def local(self, name: str) -> Path:
        path = self.folder / name
        try:
            used_ns = SystemClock().now_us() * 1_000
            os.utime(path, ns=(used_ns, path.stat().st_mtime_ns))  # the other time says when it was fetched
        except FileNotFoundError:
            self._run(name, lambda: self._fetch(name, path))
            self._room_bytes -= path.stat().st_size
            if self._room_bytes < 0:
                self._room_bytes = self._make_room()
        return path

    def names(self, prefix: str = "") -> list[FileInfo]:
        def work() -> list[FileInfo]:
            pages = obstore.list(self._store, prefix=prefix.rpartition("/")[0] or None)
            return [
                FileInfo(info["path"], info["size"], int(info["last_modified"].timestamp() * 1_000_000))
                for page in pages
                for info in page
                if info["path"].startswith(prefix)
            ]

        return sorted(self._run(prefix, work), key=lambda info: info.name)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keeps nobody out: a write with a tag fails where another writer was first."""
        yield

    def _fetch(self, name: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                for chunk in obstore.get(self._store, name).stream(min_chunk_size=_CHUNK):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _make_room(self) -> int:
        """Remove the copies used longest ago until the others fit; none that was used within the last hour.

        Returns how many bytes may be fetched before the copies are looked through again: a part of what is free, since
        other processes of this machine fetch too.
        """
        files = [(path.stat(), path) for path in self.folder.rglob("*") if path.is_file()]
        files.sort(key=lambda pair: pair[0].st_atime_ns)
        total = sum(stat.st_size for stat, _ in files)
        for stat, path in files:
            if total <= self._cache_bytes or stat.st_atime_ns > files[-1][0].st_atime_ns - _IN_USE_NS:
                break
            path.unlink(missing_ok=True)
            total -= stat.st_size
        return max(0, self._cache_bytes - total) // _SHARERS

    def _run(self, name: str, work: Callable[[], Result]) -> Result:
        where = f"{self.where}/{name}"
        try:
            return work()
        except (FileNotFoundError, exceptions.NotFoundError):
            raise FileNotFoundError(where) from None
        except (exceptions.PreconditionError, exceptions.AlreadyExistsError):
            raise changed_meanwhile(where) from None
        except (exceptions.BaseError, OSError) as error:
            if isinstance(error, _REFUSALS) or "403 Forbidden" in str(error):
                raise BadSetting(
                    f"the keys in the environment must be those of somebody who may read and write {self.where}, got a "
                    "refusal of the store"
                ) from None
            raise StoreUnavailable(f"{self.where} must answer: {_reason(error)}") from error


def _open(url: Url) -> Any:
    endpoint, region = url.options.get("endpoint"), url.options.get("region")
    timeout = timedelta(milliseconds=url.integer("timeout_ms", _TIMEOUT_MS))
    client: Any = {"connect_timeout": timeout, "read_timeout": timeout}
    if endpoint and endpoint.startswith("http://"):
        client["allow_http"] = True
    options = {"endpoint": endpoint, "region": region}
    config: Any = {name: value for name, value in options.items() if value}
    try:
        return from_url(
            f"{url.scheme}://{url.path}",
            config=config,
            client_options=client,
            retry_config={"max_retries": _RETRIES, "retry_timeout": timeout * (_RETRIES + 1)},
        )
    except (exceptions.BaseError, ValueError) as error:
        raise BadSetting(f"{url.scheme}://{url.path} must name an object store: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    """The first line of an error of the library, short."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
