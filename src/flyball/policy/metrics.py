"""Names of metrics: `[label:]metric[@argument][/slice]`. The task defines the metrics."""

import re

import msgspec

from flyball.core import BadDeclaration

_FORM = re.compile(
    r"(?:(?P<label>[a-z][a-z0-9_]*):)?(?P<metric>[a-z][a-z0-9_]*)(?:@(?P<argument>[0-9]+(?:\.[0-9]+)?))?(?:/(?P<slice>.+))?"
)


class MetricName(msgspec.Struct, frozen=True):
    """The parts of a name. `argument`: for example the cutoff of a list; `slice`: for example "history_length=0"."""

    metric: str
    argument: float | None = None
    label: str = ""
    slice: str = ""

    @property
    def family(self) -> str:
        """The metric with its label, without argument and slice."""
        return f"{self.label}:{self.metric}" if self.label else self.metric

    def of_family(self, family: str) -> "MetricName":
        """The same argument and slice of another metric."""
        label, _, metric = family.rpartition(":")
        return MetricName(metric, self.argument, label, self.slice)

    def __str__(self) -> str:
        argument = "" if self.argument is None else f"@{self.argument:g}"
        return f"{self.family}{argument}{f'/{self.slice}' if self.slice else ''}"


def parse_metric(text: str) -> MetricName:
    """The parts of a metric's name; raises `BadDeclaration` for a text that cannot be one.

    >>> str(parse_metric("ndcg@20")), parse_metric("click:auc/group=F").slice
    ('ndcg@20', 'group=F')
    """
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        form = "[label:]metric[@argument][/slice], such as ndcg@20 or rmse"
        raise BadDeclaration("name of a metric", form, text)
    argument = None if match["argument"] is None else float(match["argument"])
    return MetricName(match["metric"], argument, match["label"] or "", match["slice"] or "")


class MetricGate(msgspec.Struct, frozen=True):
    """A bound on one metric that every version must satisfy before it may serve.

    `at_least`, `at_most`: bounds of the value; `above`: an exclusive lower bound. `certain`: the whole interval must be
    on the right side, not only the value. `refuted`: the gate fails only if the whole interval is on the wrong side, so
    that few examples do not fail it. `why`: what a failure means, "" for nothing to add. The bound of a gate whose
    name begins with "max_gap", on a metric such as "auc/region", is on the largest gap between groups.
    """

    name: str
    metric: str
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    certain: bool = True
    why: str = ""
    refuted: bool = False

    @property
    def of_groups(self) -> bool:
        """Whether the bound is on the largest gap between groups."""
        return self.name.startswith("max_gap ")
