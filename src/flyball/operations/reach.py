"""Whether the instance that runs on a home can use the stores of another one, before its home is moved there.

Settings, network, packages and credentials are those of the running process, which only it can look at: it is asked by
a report in the home, and answers in its own.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import FlyballError, Stopwatch
from flyball.events import open_known_entities
from flyball.operations.process_specs import ReachQuestion, StoreReach, UpReport, read_report, write_report
from flyball.outcomes import OutcomeConsumer
from flyball.runtime import Runtime
from flyball.settings import STORES, load_settings, masked

_NOTHING = "none"
_POLL_S = 0.05


def store_urls(runtime: Runtime) -> dict[str, str]:
    """{store: its URL without secrets}."""
    return {name: masked(str(getattr(runtime.settings, name))) for name in STORES}


def runtime_in(home: Path, runtime: Runtime) -> Runtime:
    """The application with the stores of another home, and all else as it runs now."""
    stores = load_settings(home)
    changes = {"home": stores.home, **{name: getattr(stores, name) for name in STORES}}
    return Runtime(runtime.app, msgspec.structs.replace(runtime.settings, **changes), runtime.clock)


def reach_of(runtime: Runtime, question: ReachQuestion) -> StoreReach:
    """Look at each store of the home that the question names."""
    try:
        there = runtime_in(Path(question.home), runtime)
    except FlyballError as error:
        return StoreReach(question.id, troubles={"settings": str(error)})
    troubles = {}
    try:
        for name, look in _LOOKS.items():
            try:
                look(there)
            except FlyballError as error:
                troubles[name] = str(error)
            except Exception as error:  # of a driver: the answer must come in any case
                troubles[name] = f"{type(error).__name__}: {error}"
    finally:
        there.close()
    return StoreReach(question.id, store_urls(there), troubles)


class ReachAnswers:
    """The running instance's side: answers the question that lies in its home, beside its other work."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._thread: threading.Thread | None = None
        self._last_id = ""
        self.answer: StoreReach | None = None

    def step(self) -> None:
        """Begin to answer a new question; at most one is looked into at a time."""
        question = read_report(self._runtime.home, _QUESTION, ReachQuestion)
        if question is None or question.id == self._last_id or (self._thread is not None and self._thread.is_alive()):
            return
        self._last_id = question.id
        self._thread = threading.Thread(target=self._answer, args=(question,), name="reach", daemon=True)
        self._thread.start()

    def _answer(self, question: ReachQuestion) -> None:
        self.answer = reach_of(self._runtime, question)


def ask_reach(runtime: Runtime, home: Path, id: str, stopwatch: Stopwatch, within_s: float) -> StoreReach | None:
    """Ask the instance that runs on the home of `runtime`; None where no answer comes within `within_s` seconds."""
    write_report(runtime.home, _QUESTION, ReachQuestion(str(home), id))
    began_s = stopwatch.read_s()
    while stopwatch.read_s() - began_s < within_s:
        report = read_report(runtime.home, "up", UpReport)
        if report is not None and report.reach is not None and report.reach.id == id:
            return report.reach
        threading.Event().wait(_POLL_S)
    return None


_QUESTION = "reach"


def _outcomes(runtime: Runtime) -> None:
    consumer = OutcomeConsumer(runtime.schema, runtime.app.task.about, runtime.outcomes_path)
    try:
        consumer.offsets("predictions", 1)
    finally:
        consumer.close()


def _catalog(runtime: Runtime) -> None:
    entities = open_known_entities(runtime.settings.catalog)
    try:
        entities.offsets(1)
    finally:
        entities.close()


_LOOKS: dict[str, Callable[[Runtime], Any]] = {
    "events": lambda runtime: runtime.declared_log.ends(),
    "predictions": lambda runtime: runtime.predictions.ends(),
    "quarantine": lambda runtime: runtime.quarantine.counts(),
    "registry": lambda runtime: runtime.registry.runs(),
    "history": lambda runtime: runtime.history_files.names(_NOTHING),
    "artifacts": lambda runtime: runtime.artifact_files.names(_NOTHING),
    "state": lambda runtime: runtime.state.offsets(),
    "features": lambda runtime: runtime.feature_state.offsets(),
    "catalog": _catalog,
    "outcomes": _outcomes,
}
"""{store: reads a little from it}."""
