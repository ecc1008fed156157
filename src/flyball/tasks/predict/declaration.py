"""The declaration of a prediction task: its event, target and columns."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from flyball.core import (
    BadDeclaration,
    Refused,
    format_duration,
    meant_name,
    parse_duration,
)
from flyball.events import Event, FormerNames, Profile, WrittenType, field_names_now, join_of, read_type
from flyball.models import OneVsRest, TableColumn, TabularModel, TargetKind
from flyball.policy import Decide, Expression, Quote, Reweight, trace
from flyball.tasks.about import About, AdaptedInterval, Label
from flyball.tasks.feature_hashes import check_hashes
from flyball.tasks.predict.decisions import (
    QUOTE,
    check_decide,
    daily_limit_of,
    decide_as_declared,
    labels_with_verdict,
    plain_decide,
    reviews_of,
)
from flyball.tasks.predict.declared_values import (
    check_feature_members,
    check_groups,
    check_labels,
    check_names,
    check_reweight,
    check_times,
    is_listed,
)
from flyball.tasks.predict.targets import Target, key_field_of, label_of

if TYPE_CHECKING:
    from flyball.features import Derived, Entity, Features, FeatureSet, Group
    from flyball.models import Artifact
    from flyball.tasks.featurize import Columns
    from flyball.tasks.task import Fallback, Offline, Online, Stores

_DOORS = {
    "PredictOffline": "flyball.tasks.predict.offline",
    "PredictOnline": "flyball.tasks.predict.online",
    "fallback_without_version": "flyball.tasks.predict.online",
    "EventColumns": "flyball.tasks.predict.columns",
    "columns_of": "flyball.tasks.predict.columns",
    "onnx_file": "flyball.tasks.predict.onnx_file",
}
"""Modules that are imported by name when needed, since they import this one."""

TIMES = ("hour", "weekday")
"""Columns computed from the request's time in the zone of the task, as categories: "0" to "23", "0" (Monday) to "6"."""

DAY = "day"
"""The unit of all requests of one day, in the zone of the task."""

_SOURCES = {"feature": "a feature", "field": "a field of the request", "time": "made of the request's time"}

_KINDS = {"elapsed": ("number", "quantiles"), "occurs": ("binary",), "value": ("number", "quantiles")}


class Predict(msgspec.Struct, frozen=True, dict=True):
    """Predict a target of an event from what is known when it happens.

    `on`: the event type of requests; the service stores each request as such an event, and training learns from them.
    `target`: made by `fb.elapsed`, `fb.occurs` or `fb.target_value`; or several labels, {label: `fb.occurs(...)`}, each
    with its own span. `kind`: "number", "quantiles" (with `quantiles`, ascending), "binary", "multiclass" or
    "multilabel"; by default that of the target. `open_examples`: with "exclude", requests younger than the span of the
    target are omitted, also labeled ones, because early labels are biased; with "weight", labeled ones are weighted by
    the inverse probability that their label is known by now. `weight`: a function of the event, the weight of an
    example. `features`: entities, `fb.Features` and `fb.FeatureSet`s for keys in the event. `ignore`: fields of the
    event, hour and weekday, and features that models do not see, such as the inputs of derived features. `slices`:
    fields by which metrics are reported. `groups`: fields and features that are no real numbers, such as
    "merchant.category", by which quality must be equal: metrics are reported by them and their groups compared, with a
    missing value as a group of its own. `balance`: one of `groups`, whose groups count equally in training, whatever
    their number of examples; an example counts at most ten times as much as it would. `unit`: the field whose values
    are resampled for intervals, or "day"; by default each request. `zone`: the time zone of the columns hour and
    weekday, and of the days of metrics and of `reviews_per_day`. `decide`: made by `fb.decide`, for a probability, or
    `fb.quote`, for quantiles. `deadline`: the
    time within which a request must be answered. `adapt`: for quantiles, the step of adaptive conformal inference, by
    which outcomes widen or narrow the interval between the outer two quantiles until it covers its declared share; 0
    leaves the interval as the version predicts it. `reweight`: made by `fb.reweight_covariates` or
    `fb.reweight_labels`, by which examples count as much as makes them look like the latest requests; None for alike.

    Constructing one checks it: `BadDeclaration` names the field.
    """

    on: type[Event]
    target: Target | Mapping[str, Target]
    kind: str = ""
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    open_examples: Literal["exclude", "weight"] = "exclude"
    weight: Callable[[Any], Any] | None = None
    features: "tuple[Entity | Features, ...] | FeatureSet" = ()
    ignore: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    balance: str = ""
    unit: str = ""
    zone: str = "UTC"
    decide: Decide | Quote | None = None
    deadline: str = "300ms"
    adapt: float = 0.02
    reweight: Reweight | None = None

    def __post_init__(self) -> None:
        _check(self)
        _ = self.about, self.columns
        check_reweight(self.reweight, self.target_kind.kind, [column.name for column in self.columns])

    @cached_property
    def target_kind(self) -> TargetKind:
        """The kind of target that models are fitted to."""
        target = self.target
        kind: Any = self.kind or _able(target)[0]
        return TargetKind(
            kind=kind,
            quantiles=tuple(self.quantiles) if kind == "quantiles" else (),
            classes=target.classes if isinstance(target, Target) else tuple(target),
        )

    @cached_property
    def targets(self) -> dict[str, Target]:
        """{label: its target}, in the order of the columns of several labels."""
        return {self.target.name: self.target} if isinstance(self.target, Target) else dict(self.target)

    @property
    def within_us(self) -> int:
        """The time after a request when its label is final, in microseconds."""
        return max(target.within_us for target in self.targets.values())

    @cached_property
    def key_field(self) -> str:
        """The field of the request that joins it with its outcome."""
        return key_field_of(self.on, next(iter(self.targets.values())).by)

    @cached_property
    def feature_set(self) -> "FeatureSet":
        """Every declared feature."""
        from flyball.features import FeatureSet

        groups: list[Group] = []
        derived: dict[str, Derived] = {}
        for features in [self.features] if isinstance(self.features, FeatureSet) else self.features:
            if isinstance(features, FeatureSet):
                groups += features.groups
                derived |= features.derived
            else:
                groups.append(features.features)
        return FeatureSet(self.on, *(group for group in groups if group.definitions), **derived)

    @cached_property
    def columns(self) -> tuple[TableColumn, ...]:
        """The columns of the table that models see."""
        columns: tuple[TableColumn, ...] = _door("columns_of")(
            self.on, self.feature_set, (self.key_field, *self.ignore)
        )
        return columns

    @cached_property
    def weight_expression(self) -> Expression | None:
        """The weight of an example; None for 1."""
        return None if self.weight is None else trace(self.weight)

    @cached_property
    def about(self) -> About:
        """The description of the task, for other packages."""
        labels, features, by = self._labels, self.feature_set, next(iter(self.targets.values())).by
        used = [self.on, *(label.event for label in labels)]
        used += [event for target in self.targets.values() for event in target.censored_by]
        used += [
            event_type
            for group in features.groups
            for event_type in group.event_types
            if not issubclass(event_type, Profile)
        ]
        return About(
            kind="predict",
            request=self.on,
            values=(*self.target_kind.outputs, *([QUOTE] if isinstance(self.decide, Quote) else [])),
            labels=labels,
            reviews=reviews_of(self.decide, self.on, self.key_field, by, self.within_us),
            daily_limit=daily_limit_of(self.decide, self.zone),
            entities=_entities(self.features),
            features=features,
            event_types=tuple(dict.fromkeys([*used, *(side for event_class in used for side in _sides(event_class))])),
            deadline_us=parse_duration(self.deadline),
            declaration=self._declaration,
            arrangement={"decide": plain_decide(self.decide)},
            interval=self.interval,
            groups=self.groups,
            unit=self.unit or self.on.__name__.lower(),
        )

    @cached_property
    def interval(self) -> AdaptedInterval | None:
        """The interval that outcomes adapt: between the outer two quantiles; None without one."""
        level, last = self.interval_level, len(self.target_kind.quantiles) - 1
        if level is None or not self.adapt or not isinstance(self.target, Target):
            return None
        return AdaptedInterval(self.target.name, level, (0, last), self.adapt)

    @property
    def interval_level(self) -> float | None:
        """The share of outcomes that should lie between the outer two quantiles, adapted or not."""
        quantiles = self.target_kind.quantiles
        return round(quantiles[-1] - quantiles[0], 9) if len(quantiles) > 1 else None

    @property
    def _labels(self) -> tuple[Label, ...]:
        if isinstance(self.target, Target):
            return labels_with_verdict(self.decide, label_of(self.target, self.on), self.target.by)
        return tuple(
            msgspec.structs.replace(label_of(target, self.on), name=name) for name, target in self.target.items()
        )

    @property
    def _declaration(self) -> dict[str, Any]:
        return {
            "on": self.on.__name__,
            "target": self.target.plain()
            if isinstance(self.target, Target)
            else {name: target.plain() for name, target in self.target.items()},
            "classes": list(self.target_kind.classes),
            "kind": self.target_kind.kind,
            "quantiles": list(self.target_kind.quantiles),
            "zone": self.zone,
            "decide": plain_decide(self.decide),
            "open_examples": self.open_examples,
            "weight": None if self.weight_expression is None else self.weight_expression.plain(),
            "balance": self.balance,
            "reweight": msgspec.to_builtins(self.reweight),
            "verdict": self.decide.verdict.__name__
            if isinstance(self.decide, Decide) and self.decide.verdict
            else None,
            "columns": [[column.name, column.kind] for column in self.columns],
            "times": [column.name for column in self.columns if self._source(column.name) == "time"],
            "hashes": self.feature_set.hashes,
            "definitions": self.feature_set.definitions,
        }

    def _source(self, column: str) -> str:
        """The source of a column: a feature, a field of the event, or the time of the request."""
        if column in self.feature_set.names:
            return "feature"
        return "field" if column in self.on.__struct_fields__ else "time"

    def bind(self, candidates: Mapping[str, Any]) -> "tuple[Predict, Mapping[str, Any]]":
        """The candidates; with several labels, each wrapped by `OneVsRest`.

        Raises `BadDeclaration` for what is no model of tables, or none of this kind of target.
        """
        kind = self.target_kind.kind
        bound = {}
        for label, model in candidates.items():
            if not isinstance(model, TabularModel):
                raise BadDeclaration(f"candidate {label!r}", "a model of tables, such as fb.Linear()", model)
            if kind == "multilabel" and kind not in model.predicts and "binary" in model.predicts:
                model = OneVsRest(model)
            unable = _unable(model, kind)
            if unable is not None:
                must = f"a model of {kind} targets: {type(unable).__name__} is one of {', '.join(unable.predicts)}"
                raise BadDeclaration(f"candidate {label!r}", must, model)
            bound[label] = model
        return self, bound

    def restore(
        self,
        declaration: Mapping[str, Any],
        event_types: Sequence[type[Event]] = (),
        written: Sequence[WrittenType] = (),
    ) -> "Predict":
        """The task with the columns, the kind and the zone of `declaration`; fields renamed since are found by
        `fb.renamed`.

        Raises `Refused` where the request's type, a column or a feature is not declared any more, or otherwise, and
        where the target has another unit.
        """
        if FormerNames((self.on, *event_types), written).type_of(declaration["on"]) is not self.on:
            raise Refused(
                f"requests of the task must be {declaration['on']}, as when the version was learned, got "
                f"{self.on.__name__}: release a version learned since"
            )
        columns = self._check_columns(declaration)
        names = {name for name, _ in declaration["columns"]}
        learned_hashes = {name: hash for name, hash in declaration["hashes"].items() if name in names}
        definitions = declaration.get("definitions", {}), self.feature_set.definitions
        check_hashes(self.feature_set.hashes, learned_hashes, "the version", definitions)
        if declaration["kind"] not in _able(self.target):
            raise Refused(
                f"the version must predict {' or '.join(_able(self.target))}, got {declaration['kind']}: "
                "release a version learned since"
            )
        target = self._target_of(declaration)
        quantiles, zone = tuple(declaration["quantiles"]) or self.quantiles, declaration["zone"]
        learned, declared = (declaration["kind"], quantiles, zone), (self.target_kind.kind, self.quantiles, self.zone)
        ignore = self._ignoring_all_but(columns)
        same = target is self.target and learned == declared and ignore == self.ignore
        then = decide_as_declared(declaration.get("decide"), self.decide, self.on)
        if same and plain_decide(then) == plain_decide(self.decide):
            return self
        kind = declaration["kind"]
        return self._refusing(target=target, kind=kind, quantiles=quantiles, zone=zone, decide=then, ignore=ignore)

    def _check_columns(self, declaration: Mapping[str, Any]) -> set[str]:
        """The columns that a version reads, by their names of now.

        Raises `Refused` for one that is not declared any more, or is of another kind or made of something else.
        """
        every: tuple[TableColumn, ...] = _door("columns_of")(self.on, self.feature_set, ())
        known, now = {column.name: column.kind for column in every}, field_names_now(self.on)
        times = declaration.get("times", TIMES)
        for name, kind in declaration["columns"]:
            today = now.get(name, name)
            got = known.get(today, "none")
            if got != kind:
                raise Refused(
                    f"column {name} must be a {kind}, as when the version was learned, got {got}: declare it again, "
                    f'under another name with fb.renamed("{name}"), or release a version learned since'
                )
            source = "feature" if name in declaration["hashes"] else "time" if name in times else "field"
            if self._source(today) != source:
                raise Refused(
                    f"column {name} must be {_SOURCES[source]}, as when the version was learned, got "
                    f"{_SOURCES[self._source(today)]}: give that another name, or release a version learned since"
                )
        return {now.get(name, name) for name, _ in declaration["columns"]}

    def _ignoring_all_but(self, columns: set[str]) -> tuple[str, ...]:
        """The `ignore` with which models see these columns; the present one if they already do."""
        if columns <= {column.name for column in self.columns}:
            return self.ignore
        every: tuple[TableColumn, ...] = _door("columns_of")(self.on, self.feature_set, ())
        return tuple(column.name for column in every if column.name not in columns)

    def _target_of(self, declaration: Mapping[str, Any]) -> Target | Mapping[str, Target]:
        """The target with the labels that a version predicts, in its order. Raises `Refused`."""
        then = declaration["target"]
        if isinstance(self.target, Target) and "unit_us" in then and then["unit_us"] != self.target.unit_us:
            raise Refused(
                f"the target must be in units of {format_duration(then['unit_us'])}, as when the version was learned, "
                f"got {format_duration(self.target.unit_us)}: declare that unit again, or run flyball learn"
            )
        classes = tuple(declaration.get("classes", self.target_kind.classes))
        if classes == self.target_kind.classes:
            return self.target
        if isinstance(self.target, Target) or not set(classes) <= self.target.keys():
            must = "as they are declared now, in this order" if isinstance(self.target, Target) else "declared now"
            raise Refused(
                f"the classes that the version predicts, {', '.join(classes) or 'none'}, must be {must}, "
                f"got {', '.join(self.target_kind.classes) or 'none'}: declare them as they were, or run flyball learn"
            )
        return {name: self.target[name] for name in classes}

    def arranged(self, arrangement: Mapping[str, Any]) -> "Predict":
        """The task that decides by `arrangement`; by its own costs where that names none.

        Raises `Refused` for costs that do not fit what it predicts.
        """
        if "decide" not in arrangement:
            return self
        policy = decide_as_declared(arrangement["decide"], self.decide, self.on)
        return self if plain_decide(policy) == plain_decide(self.decide) else self._refusing(decide=policy)

    def _refusing(self, **changes: Any) -> "Predict":
        """The task with `changes`; raises `Refused` where they do not fit the present declaration."""
        try:
            return msgspec.structs.replace(self, **changes)
        except BadDeclaration as error:
            must = "declare what it needs again, release another arrangement, or run flyball learn"
            raise Refused(f"{error}: {must}") from None

    def feature_hashes_of(self, candidate: Any) -> dict[str, str]:
        """{feature: hash} of the features that a version of `candidate` reads: all columns that are features."""
        names = {column.name for column in self.columns}
        return {name: hash for name, hash in self.feature_set.hashes.items() if name in names}

    def feature_columns(self, names: Sequence[str]) -> "Columns":
        """The reader of these features for requests."""
        columns: Columns = _door("EventColumns")(self, names)
        return columns

    def offline(self) -> "Offline":
        """The offline interface."""
        offline: Offline = _door("PredictOffline")(self)
        return offline

    def online(self, stores: "Stores") -> "Online":
        """The online interface; it does not load polars."""
        online: Online = _door("PredictOnline")(self, stores)
        return online

    def first_fallback(self, arrangement: Mapping[str, Any]) -> "Fallback":
        """The fallback before any version or store: the default decision, if the task decides."""
        fallback: Fallback = _door("fallback_without_version")(self, arrangement)
        return fallback

    def onnx_file(self, model: Any, artifact: "Artifact", about: Mapping[str, str]) -> bytes:
        """The prediction of a version from the columns of its row, as one ONNX file."""
        file: bytes = _door("onnx_file")(self, model, artifact, about)
        return file


def _door(name: str) -> Any:
    return getattr(import_module(_DOORS[name]), name)


def _sides(event: type[Event]) -> tuple[type[Event], ...]:
    join = join_of(event)
    return () if join is None else (join.first, join.second)


def _entities(features: Any) -> "tuple[Entity, ...]":
    """The entities among the features, including those in a `FeatureSet`; their profiles belong to the task."""
    from flyball.features import Entity, FeatureSet

    entities: list[Entity] = []
    for member in features if isinstance(features, tuple) else (features,):
        if isinstance(member, FeatureSet):
            entities += member.entities
        elif isinstance(member, Entity):
            entities.append(member)
    return tuple(dict.fromkeys(entities))


def _unable(model: TabularModel, kind: str) -> TabularModel | None:
    """The model, or the first of its parts, that cannot predict targets of this kind; None if all can."""
    if kind not in model.predicts:
        return model
    of_parts = "binary" if isinstance(model, OneVsRest) else kind
    return next((unable for part in model.parts if (unable := _unable(part, of_parts)) is not None), None)


def _able(target: Target | Mapping[str, Target]) -> tuple[str, ...]:
    """The kinds that a target can be predicted as; the default is first."""
    if not isinstance(target, Target):
        return ("multilabel",)
    return ("multiclass",) if target.classes else _KINDS[target.kind]


def _check(task: Predict) -> None:
    if not (isinstance(task.on, type) and issubclass(task.on, Event)) or issubclass(task.on, Profile):
        raise BadDeclaration("on of Predict", "an event type, a class of fb.Event", task.on)
    if join_of(task.on) is not None:
        raise BadDeclaration("on of Predict", "an event that happens by itself, not a joined one", task.on)
    if isinstance(task.target, Mapping):
        check_labels(task.on, task.target)
    elif not isinstance(task.target, Target):
        must = "made by fb.elapsed, fb.occurs or fb.target_value, or {label: fb.occurs(...)}"
        raise BadDeclaration("target of Predict", must, task.target)
    able = _able(task.target)
    if task.kind and task.kind not in able:
        raise BadDeclaration("kind of Predict", f"{' or '.join(able)} for this target", task.kind)
    levels = list(task.quantiles)
    if not levels or levels != sorted(set(levels)) or not all(0 < level < 1 for level in levels):
        raise BadDeclaration("quantiles of Predict", "ascending numbers between 0 and 1", task.quantiles)
    if isinstance(task.adapt, bool) or not isinstance(task.adapt, int | float) or not 0 <= task.adapt < 1:
        raise BadDeclaration("adapt of Predict", "0, or a rate below 1 such as 0.02", task.adapt)
    if task.open_examples not in ("exclude", "weight"):
        raise BadDeclaration("open_examples of Predict", '"exclude" or "weight"', task.open_examples)
    fields = read_type(task.on).fields
    check_feature_members(task.features)
    ignored = tuple(name for name in task.ignore if name not in TIMES) if is_listed(task.ignore) else task.ignore
    check_names(
        "ignore", task.ignore, ignored, (*fields, *task.feature_set.names), f"fields of {task.on.__name__} or features"
    )
    check_names("slices", task.slices, task.slices, fields, f"fields of {task.on.__name__}")
    if task.unit not in ("", DAY, *fields):
        must = f'"{DAY}" or the name of one field of {task.on.__name__}: {", ".join(fields)}'
        raise BadDeclaration("unit of Predict", must + meant_name(task.unit, (DAY, *fields)), task.unit)
    if task.weight is not None:
        strange = trace(task.weight).fields() - {*fields, "at"}
        if strange:
            raise BadDeclaration("weight of Predict", f"made of fields of {task.on.__name__}", sorted(strange))
    check_groups(task.on, task.feature_set, task.key_field, task.groups, task.balance)
    check_decide(task.decide, task.target_kind, task.on, fields, task.groups)
    check_times(task.zone, task.deadline)
