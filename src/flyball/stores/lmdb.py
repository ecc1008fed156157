"""The online store for one machine: LMDB with one writing process and any number of readers.

A read transaction sees exactly one commit; the map file is shared memory, so a read takes a few microseconds.
Source: https://www.lmdb.tech/doc/ (caveats: one environment per path and process, none carried over a fork).
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from pathlib import Path
from threading import Condition, Lock
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import lmdb
import msgspec

from flyball.core import BadSetting, StoreUnavailable, Url, parse_url, quoted_path, write_atomic
from flyball.events import Offsets

Result = TypeVar("Result")

_OFFSETS = b"m/offsets"
_CHECK_READERS_EVERY = 256
_CURRENT, _NEXT = "current", "g"
"""The file that names the folder of a store that was replaced, and the first letter of such names."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class _Environment:
    """An open LMDB environment of this process; the map may be resized only while no thread reads."""

    def __init__(self, folder: Path, first_size: int, durable: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.env = lmdb.open(
                str(folder),
                map_size=max(first_size, _size_of(folder)),
                metasync=False,
                sync=durable,
                max_readers=1024,
                max_spare_txns=8,
                readahead=False,
            )
        except lmdb.Error as error:
            raise StoreUnavailable(f"state store {folder} must be openable: {error}") from error
        self._writing = Lock()
        self._state = Condition(Lock())
        self._readers, self._resizing = 0, False
        self.env.reader_check()  # reader slots of killed processes would keep old pages from being reused

    def view(self, work: Callable[[Any], Result]) -> Result:
        """Run `work` in a read transaction that ends with this call."""
        while True:
            with self._state:
                while self._resizing:
                    self._state.wait()
                self._readers += 1
            try:
                with self.env.begin() as transaction:
                    return work(transaction)
            except lmdb.MapResizedError:
                pass  # another process grew the map: adopt its size below, then read again
            finally:
                with self._state:
                    self._readers -= 1
                    if self._resizing:
                        self._state.notify_all()
            self._resize(lambda: 0)

    def change(self, work: Callable[[Any], None]) -> None:
        """Run `work` in a write transaction, growing the map until it fits."""
        with self._writing:
            while True:
                try:
                    with self.env.begin(write=True) as transaction:
                        work(transaction)
                    return
                except lmdb.MapFullError:
                    self._resize(lambda: 2 * int(self.env.info()["map_size"]))
                except lmdb.MapResizedError:
                    self._resize(lambda: 0)

    def _resize(self, size: Callable[[], int]) -> None:
        with self._state:
            while self._resizing:
                self._state.wait()
            self._resizing = True
            while self._readers:
                self._state.wait()
            try:
                self.env.set_mapsize(size())
            finally:
                self._resizing = False
                self._state.notify_all()


# LMDB forbids opening a path twice in one process, so stores of the same path share an environment.
_OPEN: WeakValueDictionary[tuple[int, str], _Environment] = WeakValueDictionary()
_OPENING = Lock()


def _let_go_in_child() -> None:
    """Close environments inherited through a fork: they are the parent's, and LMDB would refuse to open the path
    again."""
    for environment in list(_OPEN.values()):
        environment.env.close()
    _OPEN.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


class LmdbStore:
    """`lmdb:///folder?map_mb=256&sync=1`: opened on first use in each process.

    `map_mb`: first size of the map, doubled whenever full. `sync=0` skips the flush to disk of each write: a crash
    of the machine (not of a process) may then cost the store, which is rebuilt from the log.
    """

    def __init__(self, url: Url) -> None:
        if not url.path:
            raise BadSetting("lmdb:// must name a folder, such as lmdb:///path/state, got none")
        url.check_options(("map_mb", "sync"))
        self._folder = Path(url.path)
        self._first_size = url.integer("map_mb", 256) << 20
        self._durable = url.integer("sync", 1) != 0
        self._environment: _Environment | None = None
        self._process = 0
        self._writes = 0
        self._pointer = str(self._folder / _CURRENT)
        self._version: tuple[int, int] | None = None

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]:
        def work(transaction: Any) -> tuple[list[bytes | None], bytes | None]:
            get = transaction.get
            return [get(key) for key in keys], get(_OFFSETS)

        values, offsets = self._run(lambda environment: environment.view(work))
        return values, () if offsets is None else _decode(offsets)

    def write(self, changes: Mapping[bytes, bytes | None], offsets: Offsets) -> None:
        new_values = sorted([(key, value) for key, value in changes.items() if value is not None])
        deleted_keys = sorted([key for key, value in changes.items() if value is None])

        def work(transaction: Any) -> None:
            with transaction.cursor() as cursor:
                cursor.putmulti(new_values)
            for key in deleted_keys:
                transaction.delete(key)
            transaction.put(_OFFSETS, _encode(offsets))

        self._run(lambda environment: environment.change(work))
        self._writes += 1
        if self._writes % _CHECK_READERS_EVERY == 0:
            self._open().env.reader_check()

    def offsets(self) -> Offsets:
        return self.read(())[1]

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        def work(transaction: Any) -> list[tuple[bytes, bytes]]:
            with transaction.cursor() as cursor:
                if not cursor.set_range(prefix):
                    return []
                pairs = takewhile(lambda pair: pair[0].startswith(prefix), cursor)
                return list(islice((pair for pair in pairs if pair[0] != _OFFSETS), limit))

        return iter(self._run(lambda environment: environment.view(work)))

    def beside(self) -> str:
        """See `Replaceable`."""
        number = int(self._current()[1:] or 0) + 1
        folder = self._folder / f"{_NEXT}{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return f"lmdb://{quoted_path(folder)}"

    def replace(self, url: str) -> None:
        """See `Replaceable`. A process that is killed before the file is replaced has changed nothing."""
        self.close()
        name = Path(parse_url(url).path).name
        write_atomic(Path(self._pointer), name.encode())
        self.discard_others()

    def discard_others(self) -> None:
        """Delete the stores that are not the current one, as left by a process that was killed."""
        current = self._current()
        for path in self._folder.iterdir():
            if path.is_dir() and path.name.startswith(_NEXT) and path.name != current:
                shutil.rmtree(path, ignore_errors=True)
            elif current and path.name in ("data.mdb", "lock.mdb"):
                path.unlink(missing_ok=True)

    def _current(self) -> str:
        """The name of the folder in this one where the store is by now; "" for this one."""
        try:
            return Path(self._pointer).read_text()
        except FileNotFoundError:
            return ""

    def close(self) -> None:
        """Release the environment, which is closed with the last store of its path in this process."""
        self._environment = None

    def _run(self, work: Callable[[_Environment], Result]) -> Result:
        try:
            return work(self._open())
        except lmdb.Error as error:
            raise StoreUnavailable(f"state store {self._folder} must answer: {error}") from error

    def _open(self) -> _Environment:
        process = os.getpid()
        environment, version = self._environment, self._version_now()
        if environment is not None and self._process == process and version == self._version:
            return environment
        with _OPENING:
            folder = self._folder / self._current()
            folder.mkdir(parents=True, exist_ok=True)
            name = (process, str(folder.resolve()))
            environment = _OPEN.get(name)
            if environment is None:
                environment = _OPEN[name] = _Environment(folder, self._first_size, self._durable)
            self._environment, self._process, self._version = environment, process, version
        return environment

    def _version_now(self) -> tuple[int, int] | None:
        """Changes when the store is replaced. Costs half a microsecond; a `stat` that fails would cost three."""
        if not os.access(self._pointer, os.F_OK):
            return None
        stat = os.stat(self._pointer)
        return stat.st_ino, stat.st_mtime_ns


def _size_of(folder: Path) -> int:
    data = folder / "data.mdb"
    return data.stat().st_size if data.exists() else 0
