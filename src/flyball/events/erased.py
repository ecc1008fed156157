"""Whose events must not come back: people who were erased, by keyed digests of their ids.

An event of theirs from before the erasure, sent again or late, is refused; who comes back after it is somebody new. The
file names nobody, but whoever can read it can find out whether a certain id was erased.
"""

import fcntl
import os
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import StoreUnavailable, readings_of, write_atomic
from flyball.events.log import Record
from flyball.events.named_rows import NamedColumns, cell_texts, cells_of, entity_columns
from flyball.events.schema import Schema

_FileState = tuple[int, int] | None
"""Of a file: what changes when it is written."""

ERASED = "erased"
"""The reason for which such an event is refused; it is counted, and kept nowhere."""

LONG_ID = 6
"""An id of this many characters or more is searched for in text that is no row; a shorter one stands anywhere."""
_SEARCHED = 1 << 16
_LETTER = r"[\w\u0300-\u036f]"
_ESCAPE = r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})|%[0-9a-fA-F]{2}"
_TRIES, _PAUSE_S = 3_000, 0.02
_WORDS = tuple(
    map(
        re.compile,
        (
            rf"(?<!{_LETTER})(?<!{_LETTER}[-.@+])(?>{_LETTER}+(?:[-.@+]{_LETTER}+)*)(?![-.@/:+]{_LETTER}|{_ESCAPE})",
            rf"(?>[^\s\"',;:={{}}\[\]()<>|]+)(?!:{_LETTER})",
            r'"((?:[^"\\]|\\.)*)"?',
            r'"((?:[^"]|"")*)"?',
            r"[^,;\t|\r\n]+",
            r"[^&=?#\s\"]+",
        ),
    )
)
_FIELDS = _WORDS[2:]
"""Words with what may belong to a longer id beside them, such as a hyphen and a letter; what stands between the signs
that separate fields, such as an address; strings of JSON, cells of CSV and values of URLs."""


class _Stored(msgspec.Struct, frozen=True):
    """`people`: {keyed digest of an entity and an id, in hex: when it was erased, in microseconds}."""

    key: bytes
    people: dict[str, int]


ErasedDigests = Mapping[bytes, Mapping[str, int]]
"""{key: {digest with it: when, in microseconds}}"""


class ErasedPeople:
    """The people of one home, in the file at `path`, and those whom other machines have erased, in another file beside
    it; both are read again when another process has changed them."""

    def __init__(self, path: Path) -> None:
        self._path, self._of_others = path, path.with_stem(f"{path.stem}_elsewhere")
        self._version: tuple[_FileState, _FileState] = (None, None)
        self._stored = _Stored(b"", {})
        self._digests: ErasedDigests = {}
        self._latest_us = 0

    def add(self, people: Iterable[tuple[str, str]], at_us: int) -> None:
        """Refuse events of these (entity, id) that happened until `at_us`, from now on: also those that another process
        has checked before and appends now are in the log, or in quarantine, when this returns.

        Raises `StoreUnavailable` where one of them takes longer than a minute.
        """
        self._refresh()
        before = self._opened()
        try:
            key = self._stored.key or secrets.token_bytes(32)
            added = {_digest(key, entity, id): at_us for entity, id in people}
            write_atomic(self._path, msgspec.json.encode(_Stored(key, {**self._stored.people, **added})))
            os.chmod(self._path, 0o600)
            _wait_for_holders(before, self._path)
        finally:
            os.close(before)

    @property
    def own_digests(self) -> ErasedDigests:
        """Those who were erased on this machine."""
        self._refresh()
        return {self._stored.key: self._stored.people} if self._stored.people else {}

    def learn(self, digests: ErasedDigests) -> None:
        """Take over whom any machine has erased, as the registry says; of this machine's own nothing is changed."""
        self._refresh()
        others = {key: dict(people) for key, people in digests.items() if key != self._stored.key}
        if others and others != {key: people for key, people in self._digests.items() if key != self._stored.key}:
            stored = [_Stored(key, people) for key, people in sorted(others.items())]
            write_atomic(self._of_others, msgspec.json.encode(stored))
            os.chmod(self._of_others, 0o600)

    def was(self, named: Iterable[tuple[str, str]], at_us: int) -> bool:
        """Whether one of these (entity, id) was erased at `at_us` or later."""
        self._refresh()
        return at_us <= self._latest_us and any(self._erased_us(entity, id) >= at_us for entity, id in named)

    @property
    def is_empty(self) -> bool:
        """Whether nobody was erased yet."""
        self._refresh()
        return not self._digests

    @contextmanager
    def holding(self) -> Iterator[None]:
        """The time from a check of events by `among` until what was checked is stored; see `add`.

        It holds a shared lock on the file of now, or beside it on another one where nobody was erased yet. `add`
        replaces that file and then waits for its locks alone, so later checks do not keep it.
        """
        while True:
            descriptor = self._opened()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                other = self._opened()
                is_present = os.path.sameopenfile(descriptor, other)
                os.close(other)
                if is_present:
                    yield
                    return
            finally:
                os.close(descriptor)

    def _opened(self) -> int:
        """A descriptor of the file, or of the one that stands for it while nobody was erased."""
        with suppress(FileNotFoundError):
            return os.open(self._path, os.O_RDWR)
        folder = self._path.parent / "run"
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / "erased.lock", os.O_RDWR | os.O_CREAT, 0o600)

    def among(self, schema: Schema, records: Sequence[Record | None]) -> list[int]:
        """The indices of the records that name somebody who was erased, and happened before that."""
        if self.is_empty:
            return []
        return [
            index
            for index, record in enumerate(records)
            if record is not None and record.at <= self._latest_us and self._names_erased(schema, record)
        ]

    def among_lines(self, schema: Schema, lines: Sequence[bytes], header: bytes = b"") -> list[int]:
        """The indices of the lines, which are no valid events, that name somebody who was erased: as the whole cell of
        a column of their entity, or, of a line that does not read as a row with such a column, as a whole word of
        `LONG_ID` characters or more; shorter ones stand in lines of others. `header`: the one of CSV.

        Such a line has no time that is sure, so one from after the erasure counts, too.
        """
        if self.is_empty:
            return []
        columns = NamedColumns(entity_columns(schema))
        return [index for index, line in enumerate(lines) if self._line_names_erased(columns, line, header)]

    def _line_names_erased(self, columns: NamedColumns, line: bytes, header: bytes) -> bool:
        missing = set(columns.entities)
        for name, cell in cells_of(columns.row_of(line, header)):
            entities = columns.entities_of(name)
            if entities and any(self._was_erased(entities, text) for text in cell_texts(cell)):
                return True
            missing -= entities
        return bool(missing) and any(
            self._was_erased(missing, word) for word in set(_words_in(line[:_SEARCHED])) if len(word) >= LONG_ID
        )

    def _was_erased(self, entities: Iterable[str], id: str) -> bool:
        return any(self._erased_us(entity, id) >= 0 for entity in entities)

    def _names_erased(self, schema: Schema, record: Record) -> bool:
        event = schema.decode(record)
        return any(
            record.at <= self._erased_us(entity, id)
            for field, entity in schema.types[record.type].flagged
            for id in _ids(getattr(event, field))
        )

    def _erased_us(self, entity: str, id: str) -> int:
        """When somebody was erased last, -1 for never."""
        return max((people.get(_digest(key, entity, id), -1) for key, people in self._digests.items()), default=-1)

    def _refresh(self) -> None:
        version = _state_of(self._path), _state_of(self._of_others)
        if version == self._version:
            return
        own, others = _Stored(b"", {}), list[_Stored]()
        if version[0] is not None:
            own = msgspec.json.decode(self._path.read_bytes(), type=_Stored)
        if version[1] is not None:
            others = msgspec.json.decode(self._of_others.read_bytes(), type=list[_Stored])
        self._stored, self._version = own, version
        self._digests = {stored.key: stored.people for stored in (*others, own) if stored.people}
        self._latest_us = max((at for people in self._digests.values() for at in people.values()), default=0)


def _state_of(path: Path) -> "_FileState":
    if not os.access(path, os.F_OK):
        return None
    stat = os.stat(path)
    return stat.st_ino, stat.st_mtime_ns


def _words_in(line: bytes) -> Iterator[str]:
    """All that may be an id in a line that cannot be read: as it is written, and without escapes."""
    try:
        texts = [line.decode()]
    except UnicodeDecodeError:
        texts = [line.decode(errors="replace"), line.decode("latin-1")]
    for text in texts:
        for written in readings_of(text):
            for pattern in _WORDS:
                for word in pattern.findall(written.text):
                    yield word.strip()
                    if pattern in _FIELDS:  # its end was looked for before its escapes were taken out
                        yield from (reading.text for reading in readings_of(word))


def _wait_for_holders(descriptor: int, path: Path) -> None:
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        threading.Event().wait(_PAUSE_S)
    raise StoreUnavailable(
        f"events that are being stored must be stored within a minute for those of {path} to be erased, got one that "
        "was not: run the command again"
    )


def _ids(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(member) for member in value] if isinstance(value, list) else [str(value)]


def _digest(key: bytes, entity: str, id: str) -> str:
    return blake2b(msgspec.msgpack.encode((entity, id)), key=key[:64], digest_size=16).hexdigest()
