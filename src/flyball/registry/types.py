"""What the registry holds, as values."""

from typing import Any, Literal

import msgspec

VersionState = Literal["candidate", "rejected", "champion", "retired"]
RunStatus = Literal["running", "done", "too_little_data", "failed", "interrupted"]
JsonObject = dict[str, Any]

REMOVED = "remove artifact"
"""The action of an audit entry that says why a version's files are gone."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One fitted candidate and all it came from.

    `state`: "candidate" passed its gates and never served, "rejected" may never serve (`reason` says why), "champion"
    serves, "retired" served before. `kind`: the model's name in its table, or `file:Class`; `params`: its fields.
    `artifact`: the folder's name inside the home's folder of artifacts, "" for none; `artifact_files`: {name: sha256}.
    `metrics`: {name: {"value", "low", "high"}} and costs; `gates`: [{"name", "passed", "reason"}].
    `declaration`: everything declared that its answers depend on besides features, as the task's `restore` reads it;
    `features`: {name: hash of its definition} of those it reads.
    `id` is given by the registry ("v1", "v2", ...) and "" before that.
    """

    id: str = ""
    app: str
    candidate: str
    kind: str
    params: JsonObject
    seed: int
    snapshot: str
    as_of_us: int
    created_us: int
    run: str
    state: VersionState
    reason: str = ""
    code_commit: str = "unknown"
    code_dirty: bool = False
    dependencies_hash: str = ""
    metrics: JsonObject = {}
    gates: list[JsonObject] = []
    artifact: str = ""
    artifact_files: dict[str, str] = {}
    declaration: JsonObject = {}
    features: dict[str, str] = {}


class Arrangement(msgspec.Struct, frozen=True, kw_only=True):
    """What may change without training, such as re-ranking rules, thresholds and weights, as one revision.

    `id` is given by the registry ("a1", "a2", ...). `digest`: sha256 of `value` in canonical JSON.
    """

    id: str
    app: str
    value: JsonObject
    digest: str
    created_us: int
    by: str
    reason: str

    @property
    def revision(self) -> int:
        """The number that release states and predictions name it by."""
        return int(self.id[1:])


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to learn. `ended_us` is None while it runs; `report` is what it reported at its end."""

    id: str
    app: str
    as_of_us: int
    started_us: int
    status: RunStatus
    snapshot: str = ""
    ended_us: int | None = None
    report: JsonObject = {}


class SearchTrial(msgspec.Struct, frozen=True, kw_only=True):
    """One fit of a search on a `share` of the training data: the value of the metric, or None and why there is none."""

    candidate: str
    params: JsonObject
    share: float
    value: float | None
    failed: str = ""
    seconds: float = 0.0


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """One search for parameters, or one learning curve (`how` "curve").

    `budget`: full fits each candidate may spend. `about`: what was learned from and evaluated on, and what came out.
    `trials`: every fit, in order; those of a search that was killed are there too.
    """

    id: str
    app: str
    how: str
    budget: float
    seed: int
    metric: str
    as_of_us: int
    snapshot: str
    started_us: int
    status: RunStatus
    ended_us: int | None = None
    about: JsonObject = {}
    trials: list[SearchTrial] = []


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what, when and why; `before` and `after` are the documents that changed."""

    at_us: int
    by: str
    action: str
    subject: str
    reason: str
    before: JsonObject = {}
    after: JsonObject = {}


class ReleaseRow(msgspec.Struct, frozen=True):
    """The released state, as a document, and its serial: it rises by one with each change."""

    serial: int
    changed_us: int
    document: JsonObject


class ReleaseStep(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one release: `release` is its number, `document` all of it after the change. Who made it, when and
    in which serial of the released state stand in the entry that it is written with, and come back when it is read.
    """

    release: int
    kind: str
    command: str
    before: str
    after: str
    step: int = 0
    reason: str = ""
    evidence: JsonObject = {}
    document: JsonObject = {}
    at_us: int = 0
    by: str = ""
    serial: int = 0
