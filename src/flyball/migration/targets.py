"""What a migration must find where it writes: nothing, or what an earlier run of it has written."""

from flyball.core import Refused, UnknownBackend, parse_url
from flyball.events import BACKENDS, EventLog, RestorableLog, log_exists, open_known_entities, open_log, open_quarantine
from flyball.files import open_files
from flyball.registry import Registry, registry_exists, registry_rows
from flyball.runtime import Runtime
from flyball.settings import masked
from flyball.stores import open_state


def check_homes(source: Runtime, target: Runtime) -> None:
    """Raise `Refused` for homes that one cannot be moved from or to."""
    if source.home == target.home:
        raise Refused(f"the home to move to must be another one, got {target.home} itself: name another with --to")
    if (copying := source.gate.copying()) is not None:
        raise Refused(f"the home to move must be complete, got an unfinished copy of {copying.home}: finish it first")
    moved, back = source.gate.moved(), target.gate.moved()
    if moved is not None and moved.home != str(target.home):
        raise Refused(f"the home to move must be in use, got one that was moved to {moved.home}: move that one")
    if back is not None and back.home != str(source.home):
        raise Refused(f"home {target.home} must be free, got one that was moved to {back.home}: name another one")
    other = target.gate.copying()
    if other is not None and other.home != str(source.home):
        raise Refused(f"home {target.home} must be free, got a copy of {other.home}: name another one")
    if source.settings.app != target.settings.app:
        raise Refused(
            f"the application's settings must be equal in both homes, got {source.settings.app} and "
            f"{target.settings.app}: write those of {source.layout.settings} into {target.layout.settings}"
        )


def check_outside(source: Runtime, target: Runtime) -> None:
    """Raise `Refused` for a home to move to that lies in the home to move: it would go with it."""
    if source.home != target.home and target.home.resolve().is_relative_to(source.home.resolve()):
        raise Refused(
            f"the home to move to must lie outside of the one to move, got {target.home} in {source.home}: name a "
            "folder beside it with --to"
        )


def content_of(part: str, target: Runtime) -> str:
    """What the store of a part holds, in words; "" where it is empty or not there."""
    url = getattr(target.settings, part)
    return _CONTENT[part](url, target)


def _content_of_log(url: str, target: Runtime) -> str:
    records = sum(open_log(url).ends()) if log_exists(url) else 0
    return f"{records:,} records" if records else ""


def _content_of_registry(url: str, target: Runtime) -> str:
    rows = sum(map(len, registry_rows(Registry(url)).values())) if registry_exists(url) else 0
    return f"{rows:,} rows" if rows else ""


def _content_of_quarantine(url: str, target: Runtime) -> str:
    target.home.mkdir(parents=True, exist_ok=True)
    quarantine = open_quarantine(url)
    try:
        return "lines" if quarantine.list(state=None, limit=1) else ""
    finally:
        quarantine.close()


def _content_of_files(url: str, target: Runtime) -> str:
    names = open_files("files", url, target.layout.cache).names()
    return f"{len(names):,} files, such as {names[0].name}" if names else ""


def _content_of_catalog(url: str, target: Runtime) -> str:
    target.home.mkdir(parents=True, exist_ok=True)
    entities = open_known_entities(url)
    try:
        return "entities" if any(entities.offsets(1)) else ""
    finally:
        entities.close()


def _content_of_state(url: str, target: Runtime) -> str:
    target.home.mkdir(parents=True, exist_ok=True)
    store = open_state(url)
    try:
        return "views of another log" if any(store.offsets()) else ""
    finally:
        store.close()


_CONTENT = {
    "events": _content_of_log,
    "predictions": _content_of_log,
    "quarantine": _content_of_quarantine,
    "registry": _content_of_registry,
    "history": _content_of_files,
    "artifacts": _content_of_files,
    "catalog": _content_of_catalog,
    "state": _content_of_state,
    "features": _content_of_state,
}


def open_target_log(part: str, source_url: str, target_url: str) -> tuple[EventLog, RestorableLog]:
    """Both logs; the target is made with as many partitions as the source has, and refused where it has others."""
    source = open_log(source_url)
    partitions = len(source.ends())
    parsed = parse_url(target_url)
    if "partitions" not in parsed.options and not log_exists(target_url):
        target_url = f"{target_url}{'&' if '?' in target_url else '?'}partitions={partitions}"
    target = open_log(target_url)
    if len(target.ends()) != partitions:
        raise Refused(
            f"{part} {masked(target_url)} must have {partitions} partitions, as before, got {len(target.ends())}: "
            f"write partitions={partitions} into its URL"
        )
    if not isinstance(target, RestorableLog):
        raise UnknownBackend("log that another one is copied to", parsed.scheme, BACKENDS)
    return source, target
