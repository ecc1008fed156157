"""What a run of learning is expected to bring and to cost, before it starts."""

import msgspec

from flyball.registry import Registry

_RUNS = 3


class Expectation(msgspec.Struct, frozen=True):
    """`gain`: in the metric to choose by, above 0 for better; None where it is not known. `cost_s`: seconds, the mean
    of the last runs, None before the first. `note`: where the numbers come from."""

    gain: float | None
    cost_s: float | None
    note: str


def expectation_of(registry: Registry, now_us: int) -> Expectation:
    """From the last runs in the registry."""
    seconds = [float(run.report.get("seconds", 0.0)) for run in registry.runs() if run.status == "done"][-_RUNS:]
    cost_s = sum(seconds) / len(seconds) if seconds else None
    return Expectation(None, cost_s, "flyball freshness measures what newer data are worth")
