"""One tree of errors: a class for each decision a caller can take.

FlyballError
├── BadInput            the caller's data: correct it and send it again
├── BadDeclaration      the application file: correct the declaration
├── BadSetting          a setting, option or URL: correct the configuration
│   ├── UnknownBackend
│   └── MissingExtra    install the named extra
├── NotFound            no such version, prediction, entity
├── Refused             the present state does not allow the operation (to serve a rejected version)
├── NotAuthenticated    who sends the request: present a key that is in force
├── NotAllowed          the key: use one with the role, or from the page, that the message names
├── TooManyAttempts     try again later
├── ArtifactCorrupt     a file differs from its manifest: do not use it
├── StoreUnavailable    locked, full or gone: try again later
├── LeaseLost           another process leads or follows the log now: write nothing more, and stand by
├── StoreCorrupt        a store's bytes differ from what was written: restore it from a backup
└── HomeBusy            another instance owns the home
"""

from collections.abc import Iterable, Sequence
from typing import Any

_MOST_LISTED = 40
"""Names that a message lists: every choice of a command has fewer, versions and releases may be many."""


class FlyballError(Exception):
    """Root of all errors that Flyball raises on purpose; it may be sent to another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self.args, self.__dict__)


def _remade(kind: type[FlyballError], args: tuple[Any, ...], state: dict[str, Any]) -> FlyballError:
    """An error from its message and attributes, as the arguments of its __init__ are others."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


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


class NotAuthenticated(FlyballError):
    """A request that does not say who sends it, or not so that it can be believed."""


class NotAllowed(FlyballError):
    """Whoever sends this may not do it, or not from there; the message says which role or page it takes."""


class TooManyAttempts(FlyballError):
    """So many keys were wrong that this one is not looked at now."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"too many keys are wrong or waiting to be verified: send it again in {retry_after_s} s")


class LeaseLost(FlyballError):
    """A process that held a lease must write nothing more: it expired, or another took it over."""

    def __init__(self, name: str, token: int, got: str) -> None:
        self.name, self.token = name, token
        words = (
            f"must be held with token {token}, got {got}: stand by until it is free"
            if token
            else f"must be held to write, got none, after a writer with token {got}: let its holder write, whom "
            "flyball status names, or name another store"
        )
        super().__init__(f"lease {name} {words}")


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
    """Another instance runs on the same home. `holder`: what it says of itself, "" where that is unknown."""

    def __init__(self, message: str, holder: str = "") -> None:
        self.holder = holder
        super().__init__(message)


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
