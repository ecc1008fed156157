"""The URLs of the settings as their backends read them, up to their options: nothing is opened or connected."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import BadSetting, MissingExtra, Url, load_backend, local_path, parse_url

if TYPE_CHECKING:
    from flyball.settings import Settings


class _OptionsAreKnown(Exception):
    """The backend has read the options of its URL, and would open what it names next."""


class _UnopenedUrl(Url, frozen=True):
    """A URL from which a backend, which checks the options first, reads no further than that."""

    def check_options(self, known: Sequence[str]) -> None:
        super().check_options(known)
        raise _OptionsAreKnown


def check_setting_urls(settings: "Settings", sources: Mapping[str, str]) -> None:
    """Raise `BadSetting` for a URL of an unknown kind, or with an option that its backend does not know.

    Where the package of a backend is not installed here, its URL is not looked at.
    """
    for name, (kind, table, further) in _tables().items():
        text = str(getattr(settings, name))
        try:
            if text:
                _check(kind, table, text, further)
        except BadSetting as error:
            raise BadSetting(f"{name} ({sources[name]}): {error}") from None
    try:
        local_path("apply delays", settings.apply_delays)
        _open_sinks(settings.sinks)
    except MissingExtra:
        return


def _open_sinks(urls: Sequence[str]) -> None:
    if urls:
        from flyball.monitoring import open_sinks

        open_sinks(urls)  # connects when something is sent


def _check(kind: str, table: Mapping[str, str], text: str, further: Sequence[Any]) -> None:
    url = _UnopenedUrl(**msgspec.structs.asdict(parse_url(text)))
    try:
        load_backend(kind, table, url.scheme)(url, *further)
    except (_OptionsAreKnown, MissingExtra):
        return


def _tables() -> dict[str, tuple[str, Mapping[str, str], tuple[Any, ...]]]:
    """{setting: (what it is, its backends, what these are opened with beside the URL)}."""
    from flyball.compute import COMPUTE_BACKENDS
    from flyball.events import BACKENDS, CATALOG_BACKENDS, QUARANTINE_BACKENDS
    from flyball.files import FILE_BACKENDS
    from flyball.outcomes import OUTCOME_BACKENDS
    from flyball.registry import BACKENDS as REGISTRIES
    from flyball.stores import STATE_BACKENDS
    from flyball.tracing import TRACE_BACKENDS

    return {
        "events": ("event log", BACKENDS, ()),
        "predictions": ("event log", BACKENDS, ()),
        "quarantine": ("quarantine", QUARANTINE_BACKENDS, ()),
        "catalog": ("catalog", CATALOG_BACKENDS, ()),
        "state": ("state store", STATE_BACKENDS, ()),
        "features": ("state store", STATE_BACKENDS, ()),
        "registry": ("registry", REGISTRIES, ()),
        "outcomes": ("outcomes", OUTCOME_BACKENDS, ("outcomes",)),
        "history": ("history", FILE_BACKENDS, (Path(),)),
        "artifacts": ("artifacts", FILE_BACKENDS, (Path(),)),
        "compute": ("compute", COMPUTE_BACKENDS, (2,)),
        "traces": ("traces", TRACE_BACKENDS, ("application", None)),
    }
