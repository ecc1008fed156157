"""Whether a declared release fits the application: before it starts, not when it comes to decide."""

from collections.abc import Collection, Sequence
from typing import get_type_hints

import msgspec

from flyball.core import BadDeclaration, format_duration
from flyball.policy import ReleasePlan, interleave
from flyball.tasks.about import About


def check_plan(plan: ReleasePlan, about: About, metrics: Collection[str]) -> None:
    """Raises `BadDeclaration` for fields that requests do not have and values that those cannot hold, for success and
    harmful metrics that nothing measures, and for a kind that the task cannot serve.

    `metrics`: the names of the application's own.
    """
    where = f"{plan.kind}(...)"
    if plan.kind == "interleave" and not about.items:
        must = "of a task that answers with lists, such as fb.Recommend: a number or a decision cannot be drafted"
        raise BadDeclaration(f"release={where}", f"{must}; compare by fb.ab() or fb.canary()", f"task {about.kind}")
    fields = [name for name in about.request.__struct_fields__ if name != "at"]
    read = {"unit": plan.unit, "only": tuple(plan.targets), "group": (plan.group,) if plan.group else ()}
    read["overrides"] = tuple(name for rule in plan.overrides.values() for name in rule)
    for argument, names in read.items():
        for name in names:
            if name not in fields:
                raise BadDeclaration(f"{argument} of {where}", f"of fields of the request: {', '.join(fields)}", name)
    _check_values(f"only of {where}", plan.targets, about)
    for arm, rule in plan.overrides.items():
        _check_values(f"overrides of {where} for {arm}", rule, about)
    labels = list(dict.fromkeys(label.name for label in about.labels))
    named = {"success": plan.success, "harmful": plan.harmful}
    if plan.kind in OF_LABELS:
        named[OF_LABELS[plan.kind]] = named.pop("success")
    for argument, margins in named.items():
        known = labels if argument in OF_LABELS.values() else [*metrics, *labels]
        for name in margins:
            if name not in known:
                kinds = "labels of the task" if known is labels else "metrics of fb.App(metrics=...) or labels"
                must = f"among {kinds}: {', '.join(dict.fromkeys(known)) or 'there are none'}"
                raise BadDeclaration(f"{argument} of {where}", must, name)
    if plan.kind in _WATCHED:
        _check_watch(plan, about, metrics)


_WEEK_US = 7 * 86_400_000_000
_WATCHED = ("canary", "immediate")
"""The kinds whose version becomes the champion by itself, so that late harm is seen in the watch alone."""


def _check_watch(plan: ReleasePlan, about: About, metrics: Collection[str]) -> None:
    """Raises `BadDeclaration` where the watch is over before a harmful label of the new champion is final."""
    for label in about.labels:
        if label.name in plan.harmful and label.name not in metrics and plan.watch_us <= label.within_us:
            final, longer = (format_duration(label.within_us + more_us) for more_us in (0, _WEEK_US))
            must = f"longer than the {final} after which the harmful label {label.name} is final, such as {longer}"
            raise BadDeclaration(f"watch of {plan.kind}(...)", must, format_duration(plan.watch_us))


def _check_values(what: str, rule: dict[str, tuple[str, ...]], about: About) -> None:
    """Raises `BadDeclaration` for a value that its field never has, so that no request would match it."""
    hints = get_type_hints(about.request, include_extras=True)
    for field, values in rule.items():
        for value in values:
            try:
                converted = msgspec.convert(value, hints[field], strict=False)
            except msgspec.ValidationError as error:
                raise BadDeclaration(f"{what} for {field}", f"what the field can hold ({error})", value) from None
            if str(converted) != value:
                raise BadDeclaration(f"{what} for {field}", f"as the field holds it: {converted!r}", value)


def interleaved_plan(
    declared: ReleasePlan, versions: Sequence[str], credit: str, about: About, metrics: Collection[str]
) -> ReleasePlan:
    """The plan to interleave these versions by: the declared one where it is of that kind and of as many, else one
    whose arms have the versions' names. Raises as `check_plan`."""
    if declared.kind == "interleave" and len(declared.weights) == len(versions) + 1 and not credit:
        return declared
    plan = interleave(*(versions if len(versions) > 1 else ()), credit=credit, unit=declared.unit)
    check_plan(plan, about, metrics)
    return plan


OF_LABELS = {"interleave": "credit", "bandit": "reward"}
"""{kind of release: the argument of it that names what arms earn}: a label of single answers."""
