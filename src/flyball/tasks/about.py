"""The description of a task, which other packages read instead of the task itself."""

from typing import TYPE_CHECKING, Any

import msgspec

from flyball.events import Event
from flyball.policy import Expression

if TYPE_CHECKING:
    from flyball.features import Entity, FeatureSet, Group


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What happened after a response, given by a later event. Several labels of one name hold when one of them does.

    `event`: a declared or joined event type. `by`: its fields that name the request, each agreeing with the request's
    field of the same entity or name; where one names the entity of the ranked items, it belongs to one item of the
    response. `value`: a number of the event; None for "it happened". `elapsed_unit_us`: instead, how long after the
    request it first holds, in this unit; 0 for no such number. `where`, `at_least`: it holds once that many events that
    satisfy the filter lie within `within_us` of each other. `latest`: of several events the latest decides, so one that
    does not satisfy the filter takes back what was said before it; of labels without a number. `within_us`: the
    attribution window: how long after a request an event still counts. When it has passed without one, the label is
    `otherwise`: a number, or None for censored, so the example is left out. `censored_by`: event types that end the
    wait at once. `impossible_after`: decisions after which no label can come.
    """

    name: str
    event: type[Event]
    by: tuple[str, ...]
    value: Expression | None = None
    where: Expression | None = None
    at_least: int = 1
    within_us: int
    otherwise: float | None = 0.0
    censored_by: tuple[type[Event], ...] = ()
    impossible_after: tuple[str, ...] = ()
    elapsed_unit_us: int = 0
    latest: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it is a number, not only that it happened."""
        return self.value is not None or self.elapsed_unit_us > 0


class Reviews(msgspec.Struct, frozen=True):
    """The responses that people review, and the events of their verdicts.

    `decision`: of those responses, "review". `request`: the event type of a request; `verdict`: that of a verdict.
    `by`: the fields of the request and of the verdict that must agree; `finding`: that of the verdict which says
    whether it happened. `within_us`: how long after its request a verdict counts as its outcome. `per_day`: the
    most of a day, None where none are declared.
    """

    decision: str
    request: type[Event]
    verdict: type[Event]
    by: tuple[str, str]
    finding: str
    within_us: int
    per_day: float | None = None


class DailyLimit(msgspec.Struct, frozen=True):
    """A decision whose number a day may be limited, by calendar days in the time zone `zone`."""

    decision: str
    zone: str


class AdaptedInterval(msgspec.Struct, frozen=True):
    """A prediction interval whose coverage is kept at its level by outcomes (adaptive conformal inference).

    `label`: the name of the label that should be within it. `level`: the share that should. `ends`: which of the
    values bound it. `rate`: how fast a miss widens it.
    """

    label: str
    level: float
    ends: tuple[int, int]
    rate: float


PATH_RENDERINGS = ("json", "lines")
"""The renderings of a path of `About.paths`: a JSON document, or the ids of the items in one line."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a task.

    `kind`: such as "recommend"; the path `/v1/<kind>`. `request`: the event type of a request. `items`: the entity that
    responses rank, "" for none. `parts`, `values`: names of what a response carries. `event_types`: every event type it
    reads. `k`: the default number of items, 0 for none. `declaration`: everything else that an answer depends on, as
    plain values: stored with each version, and passed to `Task.restore` to serve and replay it. `arrangement`: what may
    change without training (re-ranking rules, thresholds, weights), with its own revision, released and rolled back
    separately; `not_evaluated`: what evaluations replace in it, such as the share of answers that are drawn at random.
    `interval`: the interval that outcomes adapt, `reviews`: what people review, `daily_limit`: which
    decision may be limited, all None for nothing.
    `groups`: attributes of a request by which quality must be equal: fields of it, or features of its keys.
    `unit`: what evaluations count and resample, such as "user" or "order"; `counted`: which of them, as text, such as
    "with positives". `sources`: {source of an item: the reason, as text}. `unreleased`: what answers before the first
    release, as text, such as "the popular list", "" for nothing; `first_needs`: what is needed before anything can be
    answered. `paths`: HTTP paths besides `/v1/<kind>`: {method and path, such as "GET /recommend/{user}": "json" or
    "lines"}.
    """

    kind: str
    request: type[Event]
    items: str = ""
    parts: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    entities: "tuple[Entity, ...]" = ()
    features: "FeatureSet | None" = None
    event_types: tuple[type[Event], ...] = ()
    deadline_us: int = 300_000
    k: int = 0
    declaration: dict[str, Any] = {}
    arrangement: dict[str, Any] = {}
    not_evaluated: dict[str, Any] = {}
    paths: dict[str, str] = {}
    reviews: Reviews | None = None
    daily_limit: DailyLimit | None = None
    interval: AdaptedInterval | None = None
    groups: tuple[str, ...] = ()
    unit: str = "request"
    counted: str = ""
    sources: dict[str, str] = {}
    unreleased: str = ""
    first_needs: str = "no version is released yet: run flyball learn"

    @property
    def feature_groups(self) -> "tuple[Group, ...]":
        """The declared features by the keys they are kept for."""
        return () if self.features is None else self.features.groups

    @property
    def definitions(self) -> dict[str, dict[str, Any]]:
        """{feature: its definition as plain values}, derived values among them."""
        return {} if self.features is None else self.features.definitions

    @property
    def feature_hashes(self) -> dict[str, str]:
        """{feature: hash of its definition}, derived values among them."""
        return {} if self.features is None else self.features.hashes
