"""The structs stored in the registry."""

from typing import Any, Literal

import msgspec

VersionState = Literal["candidate", "rejected", "champion", "retired"]
RunStatus = Literal["running", "done", "too_little_data", "failed", "interrupted"]
CaseKind = Literal["manual", "first", "schedule", "volume", "performance", "drift", "erasure"]
CaseStatus = Literal["waiting", "running", "interrupted", "closed"]
JsonObject = dict[str, Any]

REMOVED = "remove artifact"
"""The action of the audit entry for the removal of a version's files."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One fitted candidate with its lineage.

    `state`: "candidate" (passed its gates, never served), "rejected" (may never serve, for `reason`), "champion"
    (serves) or "retired" (served before). `kind`: the model's name in the table of models, or `file:Class`; `params`:
    its fields. `artifact`: its folder inside the home's folder of artifacts, "" for none; `artifact_files`: {name:
    sha256}. `metrics`: {name: {"value", "low", "high"}} and costs; `gates`: [{"name", "passed", "reason"}].
    `declaration`: all that its answers depend on besides features, as the task's `restore` reads it; `features`: {name:
    hash of its definition} of the features it reads; `code`: {its class of models, such as "shop.py:Own": {"answers",
    "with_fit"}}, digests of the user's own code that it answers with. `training`: how it was trained, {} where
    every version is fitted on everything. `id`: assigned by the registry ("v1", "v2", ...), "" before that.
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
    code: dict[str, dict[str, str]] = {}
    training: JsonObject = {}


class Arrangement(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of what may change without training, such as re-ranking rules, thresholds and weights.

    `id`: assigned by the registry ("a1", "a2", ...). `digest`: sha256 of `value` in canonical JSON.
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
        """Its number in release states and predictions."""
        return int(self.id[1:])


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of learning. `ended_us`: None while it runs; `report`: its report at the end."""

    id: str
    app: str
    as_of_us: int
    started_us: int
    status: RunStatus
    snapshot: str = ""
    ended_us: int | None = None
    report: JsonObject = {}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One cause to learn again.

    `trigger`: as declared, or "by hand"; `cause`: in a sentence; `evidence`: the numbers behind it. `fingerprint`: the
    same for a cause that is seen again. `status`: "waiting" while it may not start a run, "running", "closed";
    "interrupted" is one that nobody closed yet and whose process was killed. `refusals`: [{"at_us", "reason"}], why it
    had to wait. `expected`: {"gain", "cost_s", "note"}, before the run. `run`: the id of the run, "" for none;
    `outcome`: how the case ended. `id`: assigned by the registry.
    """

    id: str = ""
    app: str
    trigger: str
    kind: CaseKind
    cause: str
    opened_us: int
    evidence: JsonObject = {}
    fingerprint: str = ""
    status: CaseStatus = "waiting"
    refusals: list[JsonObject] = []
    expected: JsonObject = {}
    run: str = ""
    closed_us: int | None = None
    outcome: str = ""


class SearchTrial(msgspec.Struct, frozen=True, kw_only=True):
    """One fit of a search on a `share` of the training data, with the value of the metric, or None and the reason."""

    candidate: str
    params: JsonObject
    share: float
    value: float | None
    failed: str = ""
    seconds: float = 0.0


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """One hyperparameter search, or one learning curve (`how` is "curve").

    `budget`: the most full fits for each candidate. `about`: its data, windows and result. `trials`: all fits in order,
    also those of a search that was killed.
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
    """Who did what, when and why; `before` and `after`: the document before and after the change."""

    at_us: int
    by: str
    action: str
    subject: str
    reason: str
    before: JsonObject = {}
    after: JsonObject = {}


class ReleaseRow(msgspec.Struct, frozen=True):
    """The release state as a document, and its serial, which increases by one with each change."""

    serial: int
    changed_us: int
    document: JsonObject


class ReleaseStep(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one release: `release` is its number, `document` the release after the change.

    Who made it, when, and the serial of the release state are stored in the audit entry of the same transaction, and
    returned when a step is read.
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


class IncidentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry in the timeline of an incident: who did what, when and why. `incident`: its number; `before` and
    `after`: its states; `evidence`: what was known then."""

    incident: int
    at_us: int
    by: str
    command: str
    before: str
    after: str
    reason: str = ""
    evidence: JsonObject = {}
