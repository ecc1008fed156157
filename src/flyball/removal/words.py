"""Where ids of people stand as words in texts, however these write them: with escapes or as they are."""

import re
from collections.abc import Iterable, Iterator, Sequence

from flyball.core import readings_of
from flyball.removal.people import Person

IdSpan = tuple[int, int]
"""The bounds of an id in a text."""

_LETTER = r"[\w\u0300-\u036f]"
"""A letter, digit or underscore of any script, or an accent that belongs to the letter before it."""
_ESCAPE = r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})|%[0-9a-fA-F]{2}"
_AFTER = rf"(?!{_LETTER}|{_ESCAPE})"
"""What may come after a word: before an escape, the text without escapes decides."""
_SURE_BEFORE = rf"(?<!{_LETTER})(?<!{_LETTER}[-.@+])"
_SURE_AFTER = rf"(?!{_LETTER}|[-.@/:+]{_LETTER}|{_ESCAPE})"
"""What may come beside an id that is surely whole: signs that other ids hold only at the end of a sentence or value."""
_NO_WORD = "(?!)"


def id_pattern(people: Iterable[Person], others: Iterable[str] = ()) -> "re.Pattern[str]":
    """Matches an id where it stands as a word: not within a longer number or name.

    Where one of the `others` stands, longer ids of somebody else, it matches that as no id; see `ids_in`.

    >>> pattern = id_pattern([Person("user", "42"), Person("user", "ann")])
    >>> [bool(pattern.search(text)) for text in ("user=42;", "user=420", "annä")]
    [True, False, False]
    """
    return re.compile(rf"(?<!{_LETTER})(?:{_other(others, 0)}(?P<id>{_any({person.id for person in people})})){_AFTER}")


def whole_pattern(people: Iterable[Person], others: Iterable[str] = ()) -> "re.Pattern[str]":
    """Matches an id where nothing beside it may belong to a longer id, such as a hyphen and a letter.

    >>> pattern = whole_pattern([Person("user", "cust-100")])
    >>> [bool(pattern.search(text)) for text in ("of cust-100.", "/user/cust-100", "cust-100-7", "cust-100.a@b")]
    [True, True, False, False]
    """
    ids = _any({person.id for person in people})
    return re.compile(rf"{_SURE_BEFORE}(?:{_other(others, 0)}(?P<id>{ids})){_SURE_AFTER}")


def named_pattern(people: Iterable[Person], others: Iterable[str] = ()) -> "re.Pattern[str]":
    """Matches the name of an entity and a whole id of it, such as `user 42`."""
    ids: dict[str, set[str]] = {}
    for person in people:
        ids.setdefault(person.entity, set()).add(person.id)
    others = tuple(others)
    named = "|".join(
        rf"(?i:{re.escape(entity)})\W{{0,4}}(?:{_other(others, number)}(?P<id_{number}>{_any(own)}))"
        for number, (entity, own) in enumerate(sorted(ids.items()))
    )
    return re.compile(rf"(?<!{_LETTER})(?:{named or _NO_WORD}){_SURE_AFTER}")


def longer_ids(known: Iterable[str], people: Iterable[Person]) -> set[str]:
    """Those of the known ids in which an id of the people stands as a word, and which are none of them.

    >>> sorted(longer_ids(["cust-100-7", "cust-1001", "cust-100"], [Person("user", "cust-100")]))
    ['cust-100-7']
    """
    ids = {person.id for person in people}
    pattern = re.compile(rf"(?<!{_LETTER})(?:{_any(ids)})(?!{_LETTER})")
    return {id for id in set(known) - ids if pattern.search(id)}


def _any(ids: Iterable[str]) -> str:
    """The alternatives, the longest first."""
    return "|".join(map(re.escape, sorted(ids, key=lambda id: (-len(id), id)))) or _NO_WORD


def _other(ids: Iterable[str], number: int) -> str:
    kept = sorted(ids)
    return rf"(?P<other_{number}>{_any(kept)})|" if kept else ""


def ids_in(pattern: "re.Pattern[str]", text: str) -> "Iterator[re.Match[str]]":
    """The matches of a pattern of this module that are of an id, and not of a longer one of somebody else."""
    for match in pattern.finditer(text):
        if match.end() > match.start() and not (match.lastgroup or "").startswith("other"):
            yield match


def id_spans(patterns: Sequence["re.Pattern[str]"], text: str) -> list[IdSpan]:
    """Where the ids that these patterns match stand in the text as it is written, in order and not overlapping."""
    spans = set[IdSpan]()
    for reading in readings_of(text):
        for pattern in patterns:
            spans.update(reading.written(*match.span(match.lastgroup or 0)) for match in ids_in(pattern, reading.text))
    merged = list[IdSpan]()
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def stands_in(pattern: "re.Pattern[str]", content: bytes) -> bool:
    """Whether a pattern matches in the bytes of a text: of UTF-8, or of Latin-1 where they are not UTF-8."""
    try:
        texts = [content.decode()]
    except UnicodeDecodeError:
        texts = [content.decode(errors="surrogateescape"), content.decode("latin-1")]
    return any(
        any(ids_in(pattern, reading.text))
        for text in texts
        for line in text.split("\n")
        for reading in readings_of(line)
    )
