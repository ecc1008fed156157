"""Takes ids of people out of texts: documents of the registry, reports, logs and exports in the home."""

import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import write_atomic
from flyball.home import HomeLayout
from flyball.removal.contents import OPAQUE, encoding_of, kind_of, unpacked
from flyball.removal.people import Person, id_forms
from flyball.removal.rows import SURE
from flyball.removal.words import id_pattern, id_spans, longer_ids, named_pattern, stands_in, whole_pattern

ANYBODY = "[erased]"
PROSE_KEYS = frozenset(
    ("reason", "message", "title", "text", "note", "notes", "cause", "outcome", "summary", "error", "lines")
) | {"created_by", "done_by", "owner"}
"""The keys of Flyball's own documents whose texts are words that people or monitors wrote."""
_BESIDE = {"command": "text", "by": "reason", "action": "owner"}
"""Keys of which the same holds beside another one: in a step of a checklist, of who acts and why, of what is to do."""
_LIST_OF_SUSPECTS = re.compile(r"(suspect (\S+) among [\d,]+ \()([^)]*)\)")
_SEEN_IN_BYTES = 3
TABLES = (".csv", ".jsonl", ".ndjson", ".parquet", ".tsv")
"""How the names of files with rows end."""
_OWN = ("*.db", "*.db-wal", "*.db-shm", "*.lock", "*.mdb", "settings.toml", "application", "erased*.json", "plan.json")
_OWN_DOCUMENTS = ("run", "monitoring", "world.json", "world.begun.json", "moved.json", "copying.json")
_WITH_STORES = ("run", "monitoring", "backup", "learning")
"""Folders in which files that are no texts are Flyball's own."""
STORE_FOLDERS = ("state", "features", "history", "artifacts", "cache", "removal")


class Redaction:
    """Takes the ids of `people` out of texts, but not where a longer one of the ids that are known stands."""

    def __init__(self, people: Iterable[Person], known: Iterable[str] = ()) -> None:
        people = sorted(set(people))
        sure = [person for person in people if len(person.id) >= SURE]
        self.people = people
        self._ids = {person.id for person in people}
        self._sure = {person.id for person in sure}
        others = longer_ids(known, people)
        self._patterns = [named_pattern(people, others), *([whole_pattern(sure, others)] if sure else [])]
        self._possible, self._possible_sure = id_pattern(people, others), id_pattern(sure, others)

    def text(self, text: str) -> str:
        """The text without the ids.

        >>> Redaction([Person("user", "42")]).text("user 42 saw 42 films")
        'user [erased] saw 42 films'
        """
        return self._replaced(_LIST_OF_SUSPECTS.sub(self._unlisted, self._replaced(text)))

    def _replaced(self, text: str) -> str:
        pieces, done = list[str](), 0
        for start, end in id_spans(self._patterns, text):
            pieces += [text[done:start], ANYBODY]
            done = end
        return "".join((*pieces, text[done:]))

    def _unlisted(self, match: "re.Match[str]") -> str:
        """The beginning of a sentence on suspects, which lists some of them."""
        ids = {person.id for person in self.people if match[2].startswith(person.entity.removesuffix("y"))}
        named = [ANYBODY if name in ids else name for name in match[3].removesuffix(" and others").split(", ")]
        others = " and others" if match[3].endswith(" and others") else ""
        return f"{match[1]}{', '.join(named)}{others})"

    def ids_of(self, entity: str) -> set[str]:
        """The ids of the people of an entity."""
        return {person.id for person in self.people if person.entity == entity}

    def shares(self, text: str, entity: str) -> str:
        """A document {account: share} of the accounts of an entity, without these people."""
        value, ids = msgspec.json.decode(text), self.ids_of(entity)
        kept = {key: share for key, share in value.items() if key not in ids}
        return text if kept == value else msgspec.json.encode(kept, order="deterministic").decode()

    def own_document(self, text: str) -> str:
        """A document that Flyball wrote itself, without the ids in words and among suspects; all else is as it was."""
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:  # a file that a process was killed in the middle of
            return self.text(text)
        cleaned = self._own(value, self._ids)
        return text if cleaned == value else msgspec.json.encode(cleaned, order="deterministic").decode()

    def _own(self, value: Any, suspects: Collection[str]) -> Any:
        if isinstance(value, list):
            return [self._own(member, suspects) for member in value]
        if not isinstance(value, dict):
            return value
        subject = value.get("subject")
        if isinstance(subject, str) and subject.startswith("accounts."):  # a finding on the accounts of one entity
            suspects = self.ids_of(subject.removeprefix("accounts."))
        return {key: self._own_member(key, member, value, suspects) for key, member in value.items()}

    def _own_member(self, key: str, member: Any, within: dict[str, Any], suspects: Collection[str]) -> Any:
        if key == "suspects" and isinstance(member, list):
            return [account for account in member if account not in suspects]
        beside = _BESIDE.get(key)
        if key in PROSE_KEYS or (beside and beside in within):
            return self._words(member)
        return self._own(member, suspects)

    def _words(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list) and all(isinstance(member, str) for member in value):
            return [self.text(member) for member in value]
        return self._own(value, self._ids)

    def document(self, text: str) -> str:
        """A document in JSON, or plain text, without the ids; the same text where it has none."""
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return self.text(text)
        cleaned = self._value(value)
        return text if cleaned == value else msgspec.json.encode(cleaned, order="deterministic").decode()

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return ANYBODY if value in self._ids else self.text(value)
        if isinstance(value, dict):
            return {
                ANYBODY if key in self._ids else self.text(key): self._value(member) for key, member in value.items()
            }
        if isinstance(value, list):
            return [self._value(member) for member in value]
        return 0 if type(value) is int and str(value) in self._sure else value

    def log(self, content: bytes) -> bytes:
        """The bytes of a log with other letters instead of the ids, of the same length: processes append to it."""
        return b"".join(map(self._masked, content.splitlines(keepends=True)))

    def _masked(self, line: bytes) -> bytes:
        text = line.decode(errors="surrogateescape")
        spans = id_spans(self._patterns, text)
        if not spans:
            return line
        pieces, done = list[str](), 0
        for start, end in spans:
            length = len(text[start:end].encode(errors="surrogateescape"))
            pieces += [text[done:start], "*" * length]
            done = end
        return "".join((*pieces, text[done:])).encode(errors="surrogateescape")

    def may_hold(self, content: bytes) -> bool:
        """Whether the bytes of an id stand in a database or a profile."""
        return any(pattern in content for id in self._ids for pattern in id_forms(id))

    def _may_hold_text(self, content: bytes) -> bool:
        ids = [id for id in self._ids if len(id) >= _SEEN_IN_BYTES]
        return any(id.encode(encoding) in content for id in ids for encoding in ("utf-8", "utf-16-le"))

    def holds(self, content: bytes, with_short: bool = True) -> bool:
        """Whether an id may stand in the bytes of a file: as a word of a text, in a packed one too, or as bytes of
        three characters or more. `with_short`: also one of less than `SURE` characters as a word."""
        kind = kind_of(content)
        if kind in ("gzip", "zip"):
            return any(part is content or self.holds(part, with_short) for part in unpacked(content))
        if kind != "text":
            return kind in OPAQUE or (self.may_hold if kind == "database" else self._may_hold_text)(content)
        encoding = encoding_of(content)
        text = content if encoding == "latin-1" else content.decode(encoding).encode()
        return stands_in(self._possible if with_short else self._possible_sure, text)

    def rows(self, lines: Iterable[bytes]) -> list[bytes]:
        """The lines of an export that do not name them."""
        return [line for line in lines if not any(stands_in(pattern, line) for pattern in self._patterns)]


def is_table(inside: Path) -> bool:
    """Whether the file with this path in a home is a table that somebody put there."""
    return inside.suffix in TABLES and not is_own(inside)


def is_own(inside: Path) -> bool:
    """Whether the file with this path in a home is Flyball's."""
    own = (*_OWN_DOCUMENTS, *STORE_FOLDERS, *_WITH_STORES)
    return inside.parts[0] in own or (len(inside.parts) == 1 and any(inside.match(pattern) for pattern in _OWN))


def clean_home_files(
    layout: HomeLayout, redaction: Redaction, on_step: Callable[[str], object]
) -> tuple[int, list[str]]:
    """Take the ids out of the logs, reports and texts of the home, not of tables.

    Returns how many files changed, and those in which an id may still stand, as part of a longer one.
    """
    changed, unread = 0, list[str]()
    for path in sorted(layout.folder.rglob("*")):
        inside = path.relative_to(layout.folder)
        if not path.is_file() or inside.parts[0] in STORE_FOLDERS or any(path.match(pattern) for pattern in _OWN):
            continue
        is_profile = inside.parts[0] == "monitoring" and path.suffix != ".json"
        if is_table(inside) or (not is_profile and kind_of(path.read_bytes()) != "text"):
            continue
        if _clean(path, inside, redaction):
            changed += 1
            on_step(f"cleaned {inside}")
        if not is_own(inside) and redaction.holds(path.read_bytes(), with_short=False):
            unread.append(inside.as_posix())
    return changed, unread


def _clean(path: Path, inside: Path, redaction: Redaction) -> bool:
    content = path.read_bytes()
    if encoding_of(content).startswith("utf-16"):
        return False
    if inside.parts[0] == "monitoring" and path.suffix != ".json":  # taken again from the log, where it is missing
        if redaction.may_hold(content):
            path.unlink()
            return True
        return False
    if path.suffix == ".json":
        read = redaction.own_document if inside.parts[0] in _OWN_DOCUMENTS else redaction.document
        cleaned = read(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    elif path.suffix == ".txt" and inside.parts[0] != "run" and inside != Path("sources.txt"):
        cleaned = b"".join(redaction.rows(content.splitlines(keepends=True)))
    else:
        cleaned = redaction.log(content)
        if cleaned != content:
            _overwrite(path, content, cleaned)
        return cleaned != content
    if cleaned != content:
        write_atomic(path, cleaned)
    return cleaned != content


def _overwrite(path: Path, content: bytes, cleaned: bytes) -> None:
    """Write the letters that differ where they stand, since a process may append to the file meanwhile."""
    with open(path, "r+b") as file:
        for match in re.finditer(rb"\*+", cleaned):
            if content[match.start() : match.end()] != match[0]:
                file.seek(match.start())
                file.write(match[0])
