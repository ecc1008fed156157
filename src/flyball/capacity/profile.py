"""What was measured of an application on a machine, and the file that keeps it."""

from pathlib import Path
from typing import Any

import msgspec

from flyball.capacity.laws import Law, Measured, fitted_law
from flyball.core import BadInput, NotFound, write_atomic

PROFILE_FORMAT = 3
NOISE = 0.25
"""The relative error of CPU times that were measured for a second or two."""


class SizeMeasured(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured with so many users, items and events; seconds are of CPU, of a single core.

    `event_line_bytes`: of an event as it arrives. `ingest_s`, `online_s`, `history_s`, `outcome_event_s`: to check and
    append an event, to apply it to state and features, to write it to the history, and to look for the answers it
    belongs to. `log_bytes`, `history_bytes`: of the log and the history, of all events; `state_bytes`: of state and
    features. `learn_s`, `learn_bytes`: of a run of learning with one worker, and its most memory; `artifact_bytes`: of
    the version that answers; `run_bytes`: of all versions of a run. `answer_s`: of an answer when 32 clients ask at
    once, which are answered together; `saturated_per_s`: answers a second of one process then; `alone_cpu_s`: of an
    answer when few ask, a hundred a second; `alone_s`: what answers took then, as the client sees it. `process_bytes`:
    memory of the process. `response_bytes`: of an answer. `recorded_s`: to join an answer to what follows;
    `prediction_bytes`, `outcome_bytes`, `prediction_history_bytes`: of an answer, recorded. A number of bytes is None
    where the store is a server that does not say it.
    """

    users: int
    items: int
    events: int
    event_line_bytes: float
    ingest_s: float
    online_s: float
    history_s: float
    outcome_event_s: float
    log_bytes: float | None
    history_bytes: float | None
    state_bytes: float | None
    learn_s: float
    learn_bytes: float
    artifact_bytes: float
    run_bytes: float
    answer_s: float
    alone_cpu_s: float
    saturated_per_s: float
    alone_s: tuple[float, ...]
    process_bytes: float
    response_bytes: float
    recorded_s: float
    prediction_bytes: float | None
    outcome_bytes: float | None
    prediction_history_bytes: float | None


class MachineProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of an application on a machine, at two or more sizes, the largest last.

    `machine`: its processor, cores and memory, as text. `version`: of Flyball. `candidate`: the model that answered.
    `source`: where the events came from. `events_per_user_day`: in these events. `stores`: {setting: kind of store}.
    `took_s`: of the measurement.
    """

    app: str
    machine: str
    version: str
    at_us: int
    candidate: str
    source: str
    events_per_user_day: float
    stores: dict[str, str]
    sizes: tuple[SizeMeasured, ...]
    took_s: float
    format: int = PROFILE_FORMAT

    @property
    def largest(self) -> SizeMeasured:
        return self.sizes[-1]

    def law(self, field: str, *names: str, noise: float = 0.0) -> Law | None:
        """How a field grows with `names`, of "users", "items" and "events"; None where it was not measured."""
        points = [
            Measured({name: float(getattr(size, name)) for name in names}, float(value))
            for size in self.sizes
            if (value := getattr(size, field)) is not None
        ]
        return fitted_law(points, noise) if len(points) == len(self.sizes) else None


def write_profile(path: Path, profile: MachineProfile) -> None:
    """Keep a profile; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, msgspec.json.format(msgspec.json.encode(profile), indent=1))


def read_profile(path: Path) -> MachineProfile:
    """The profile in a file. Raises `NotFound` without one, `BadInput` for one that this version cannot read."""
    if not path.is_file():
        raise NotFound("measurements of this machine in", str(path), next_step="flyball plan APP --measure makes them")
    content = path.read_bytes()
    try:
        written: Any = msgspec.json.decode(content)
        if not isinstance(written, dict) or written.get("format") != PROFILE_FORMAT:
            raise BadInput(
                f"profile {path}", f"of format {PROFILE_FORMAT}: measure again, with --measure", content[:60]
            )
        return msgspec.convert(written, MachineProfile)
    except msgspec.MsgspecError as error:
        must = f"as flyball plan --measure writes it ({error}); measure again"
        raise BadInput(f"profile {path}", must, content[:60]) from None
