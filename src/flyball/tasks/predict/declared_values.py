"""Checks of the values that `Predict` is declared with; each raises `BadDeclaration`, which names the field."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flyball.core import BadDeclaration, BadInput, declared_duration, find_zone, meant_name
from flyball.events import Event, read_type
from flyball.policy import Reweight, ReweightCovariates, ReweightLabels
from flyball.tasks.predict.targets import Target, key_field_of

if TYPE_CHECKING:
    from flyball.features import FeatureSet

_LABEL = re.compile("[a-z][a-z0-9_]*")


def is_listed(names: Any) -> bool:
    """Whether names are a tuple or a list, and no single text."""
    return isinstance(names, tuple | list)


def check_names(argument: str, declared: Any, names: Any, known: Sequence[str], what: str) -> None:
    """Raise `BadDeclaration` for an argument that is no tuple of `known` names."""
    unknown = [name for name in names if name not in known] if is_listed(names) else []
    if unknown or not is_listed(names):
        example = declared if isinstance(declared, str) and declared in known else next(iter(known), "")
        such = f', such as ("{example}",)' if example else ""
        must = f"a tuple of {what}{such}; known: {', '.join(known) or 'none'}"
        raise BadDeclaration(f"{argument} of Predict", must + meant_name(next(iter(unknown), None), known), declared)


def check_groups(on: type[Event], features: "FeatureSet", key_field: str, groups: Any, balance: str) -> None:
    """Raise `BadDeclaration` for groups that are no fields or features with a limited number of values."""
    results = {part.name: part.result for group in features.groups for part in group.definitions}
    results |= {name: derived.result for name, derived in features.derived.items()}
    known = [field.name for field in read_type(on).declared if field.kind is not float]
    known += [name for name, result in results.items() if result not in ("real", "list")]
    known = [name for name in known if name != key_field]  # a group for each request compares nothing
    if (
        isinstance(groups, str)
        or not isinstance(groups, Sequence)
        or any(name not in known for name in groups)
        or len(set(groups)) < len(groups)
    ):
        named = f"fields of {on.__name__} or features that are no real numbers"
        must = f"a tuple of {named}, each once: {', '.join(known)}"
        raise BadDeclaration("groups of Predict", must, groups)
    if balance and balance not in groups:
        must = f"one of groups= of the task: {', '.join(groups) or 'it has none'}"
        raise BadDeclaration("balance of Predict", must, balance)


def check_labels(on: type[Event], targets: Mapping[str, Any]) -> None:
    """Raise `BadDeclaration` for labels that are not two or more targets joined by one field."""
    if len(targets) < 2:
        raise BadDeclaration("labels of Predict", "two or more; one alone is target=fb.occurs(...)", list(targets))
    for name, target in targets.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            raise BadDeclaration("label of Predict", "a lower-case word, such as late", name)
        if not isinstance(target, Target) or target.kind != "occurs":
            raise BadDeclaration(f"label {name} of Predict", "made by fb.occurs", target)
    fields = {name: key_field_of(on, target.by) for name, target in targets.items()}
    if len(set(fields.values())) > 1:
        raise BadDeclaration("labels of Predict", f"joined by the same field of {on.__name__}", fields)


def check_feature_members(features: Any) -> None:
    """Raise `BadDeclaration` for what holds no features."""
    members = features if isinstance(features, tuple) else (features,)
    if any(not (hasattr(member, "features") or hasattr(member, "derived")) for member in members):
        raise BadDeclaration("features of Predict", "a tuple of entities, fb.Features and fb.FeatureSets", features)


def check_reweight(rule: Any, kind: str, names: Sequence[str]) -> None:
    """Raise `BadDeclaration` for a rule that does not fit the kind of target, or the columns."""
    must = "made by fb.reweight_covariates or fb.reweight_labels"
    if rule is not None and not isinstance(rule, Reweight):
        raise BadDeclaration("reweight of Predict", must, rule)
    if isinstance(rule, ReweightLabels) and kind not in ("binary", "multiclass"):
        raise BadDeclaration(
            "reweight of Predict", f"by covariates where the target is {kind}: it has no classes", rule
        )
    if isinstance(rule, ReweightCovariates) and not set(rule.columns) <= set(names):
        known = f"columns of the task: {', '.join(names)}"
        raise BadDeclaration("columns of reweight_covariates(...)", known, list(rule.columns))


def check_times(zone: Any, deadline: Any) -> None:
    """Raise `BadDeclaration` for an unknown zone, or a deadline that is no duration."""
    try:
        find_zone(zone)
    except (BadInput, TypeError, AttributeError):
        raise BadDeclaration("zone of Predict", "one such as Europe/Berlin", zone) from None
    declared_duration("deadline of Predict", deadline, least="1ms")
