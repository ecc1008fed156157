"""One tree of errors: a class for each decision a caller can take.

FlyballError
├── BadInput            the caller's data: correct it and send it again
├── BadDeclaration      the application file: correct the declaration
├── BadSetting          a setting, option or URL: correct the configuration
│   ├── UnknownBackend
│   └── MissingExtra    install the named extra
├── NotFound            no such version, prediction, entity
├── Refused             the present state does not allow the operation (to serve a rejected version)
├── ArtifactCorrupt     a file differs from its manifest: do not use it
├── StoreUnavailable    locked, full or gone: try again later
├── StoreCorrupt        a store's bytes differ from what was written: restore it from a backup
└── HomeBusy            another instance owns the home
"""

from collections.abc import Iterable, Sequence

_MOST_LISTED = 40
"""Names that a message lists: every choice of a command has fewer, versions and releases may be many."""


class FlyballError(Exception):
    """Root of all errors that Flyball raises on purpose."""


class BadInput(FlyballError):
    """Data that fails a check; the message says which data, where, what it must be and what it is."""

    def __init__(self, what: str, must: str, got: object, where: str = "") -> None:
        self.what, self.must, self.got, self.where = what, must, got, where
        location = f" at {where}" if where else ""
        super().__init__(f"{what}{location} must be {must}, got {_short(got)}")


class BadDeclaration(FlyballError):
    """A mistake in an application's declaration; `where` names the declared thing."""

    def __init__(self, where: str, must: str, got: object) -> None:
        self.where, self.must, self.got = where, must, got
        super().__init__(f"{where} must be {must}, got {_short(got)}")


class BadSetting(FlyballError):
    """A setting, option or URL that cannot be used."""


class UnknownBackend(BadSetting):
    """The URL's scheme is in no table."""

    def __init__(self, kind: str, scheme: str, known: Iterable[str]) -> None:
        self.kind, self.scheme, self.known = kind, scheme, sorted(known)
        super().__init__(
            f"{kind} URL must start with one of {', '.join(s + '://' for s in self.known)}, got {scheme}://"
        )


class MissingExtra(BadSetting):
    """A backend's package is not installed."""

    def __init__(self, backend: str, extra: str) -> None:
        self.backend, self.extra = backend, extra
        super().__init__(f'{backend} must be installed first: pip install "flyball[{extra}]"')


class NotFound(FlyballError):
    """Nothing of this `kind` has this `name`; `known` lists names that exist, or `next_step` says what to do."""

    def __init__(self, kind: str, name: str, known: Iterable[str] = (), next_step: str = "") -> None:
        self.kind, self.name, self.known, self.next_step = kind, name, list(known), next_step
        known_names = f"; known: {_listed(self.known)}" if self.known else ""
        super().__init__(f"no {kind} {name!r}{known_names}{next_step and f'; {next_step}'}")


def _listed(names: Sequence[str]) -> str:
    """All of them, of many the first ones and how many more there are."""
    more = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {more:,} more" if more > 0 else "")


class Refused(FlyballError):
    """The present state does not allow the operation; the message says why and what to do."""


class ArtifactCorrupt(FlyballError):
    """A file differs from its manifest."""

    def __init__(self, path: str, must: str, got: str) -> None:
        self.path, self.must, self.got = path, must, got
        super().__init__(
            f"artifact file {path} must be {must}, got {got}: restore it from a backup, or learn again (flyball learn)"
        )


class StoreUnavailable(FlyballError):
    """A store is locked, full or gone; retrying later may help."""


class StoreCorrupt(FlyballError):
    """A store's bytes differ from what was written; `where` names the store and the record."""

    def __init__(self, where: str, must: str, got: object) -> None:
        self.where, self.must, self.got = where, must, got
        super().__init__(f"{where} must be {must}, got {_short(got)}: restore it from a backup")


class HomeBusy(FlyballError):
    """Another instance runs on the same home."""


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()
"""Stands for a missing value in a message, which then ends in `got nothing`, without quotation marks."""


class InWords(str):
    """Describes a value in a message, which shows it without quotation marks.

    >>> str(BadDeclaration("inputs", "numbers", InWords("a list")))
    'inputs must be numbers, got a list'
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
