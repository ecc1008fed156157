"""One tree of errors, a class per decision the caller can take.

FlyballError
├── BadInput            the caller's data: mend it and send it again
├── BadDeclaration      the application file: mend the declaration
├── BadSetting          a setting, option or URL: mend the configuration
│   ├── UnknownBackend
│   └── MissingExtra    install the named extra
├── NotFound            no such version, prediction, entity
├── Refused             asked for something the state does not allow (a rejected version to serve)
├── ArtifactCorrupt     a file is not what its manifest says: do not use it
├── StoreUnavailable    locked, full or gone: try again later
├── StoreCorrupt        a store's bytes are not what was written: restore it from a copy
└── HomeBusy            another instance owns the home
"""

from collections.abc import Iterable


class FlyballError(Exception):
    """Root of all errors that Flyball raises on purpose."""


class BadInput(FlyballError):
    """Data that fails a check: says what, where, what it must be and what was got."""

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
    """No such thing; `known` may list near ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str] = ()) -> None:
        self.kind, self.name, self.known = kind, name, list(known)
        known_names = f"; known: {', '.join(self.known[:12])}" if self.known else ""
        super().__init__(f"no {kind} {name!r}{known_names}")


class Refused(FlyballError):
    """The state does not allow it; the message says why and what would."""


class ArtifactCorrupt(FlyballError):
    """A file differs from its manifest."""

    def __init__(self, path: str, must: str, got: str) -> None:
        self.path, self.must, self.got = path, must, got
        super().__init__(f"artifact file {path} must be {must}, got {got}")


class StoreUnavailable(FlyballError):
    """A store is locked, full or gone; retrying later may help."""


class StoreCorrupt(FlyballError):
    """A store's bytes are not what was written; `where` says which."""

    def __init__(self, where: str, must: str, got: object) -> None:
        self.where, self.must, self.got = where, must, got
        super().__init__(f"{where} must be {must}, got {_short(got)}")


class HomeBusy(FlyballError):
    """Another instance runs on the same home."""


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()
"""What was got where nothing was given: it reads "got nothing", without the quotation marks of a text."""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
