"""What a home holds, and a process that ends at a step."""

from collections.abc import Callable

from flyball.events import open_log
from flyball.operations import catch_up
from flyball.registry import registry_rows
from flyball.runtime import Runtime


class Killed(BaseException):
    """The process ends here."""


def killed_at(step: int) -> Callable[[str], None]:
    left = [step]

    def on_step(words: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    return on_step


def contents(home: Runtime) -> dict[str, object]:
    """All that is in the stores of a home, whose views are brought up to its log before."""
    catch_up(home)
    logs = {name: open_log(getattr(home.settings, name)) for name in ("events", "predictions")}
    read = {name: log.read((0,) * len(log.ends()), 10_000) for name, log in logs.items()}
    records = {
        name: [[record for piece in pieces if piece.partition == part for record in piece.records] for part in range(4)]
        for name, pieces in read.items()
    }
    files = {
        f"{part} {info.name}": store.read(info.name).content  # type: ignore[union-attr]
        for part, store in (("artifacts", home.artifact_files), ("history", home.history_files))
        for info in store.names()
        if not info.name.startswith(("parts/", "predictions/", "manifest"))
    }
    return {
        **records,
        "quarantine": home.quarantine.list(state=None, limit=1_000),
        "registry": registry_rows(home.registry),
        "files": files,
        "sources": home.layout.sources.read_text(),
        "state": dict(home.state.scan(b"")),
        "offsets": home.state.offsets(),
    }
