"""The first question about a finding: is it a fault of our own, or did the world change?

Rules, the first that holds: what a release of ours changed; more rows, where rows are sent twice; two columns in each
other's place; several columns of a table in most rows at once, which have one source; a change of unit; predictions
that changed while neither inputs nor outcomes did; answers, features and losses where all that changed in what is asked
is our own fault. Where rows are at hand, the watch adds what they say: one source, or values that are stuck
(`name_sources`, `name_stuck`). What no rule explains stays as it was said.
"""

from collections.abc import Mapping, Sequence
from math import log10
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from flyball.core import format_second
from flyball.monitoring.findings.finding import EXCHANGED, FOLLOWS, RELEASE, Finding

_PREDICTIONS, _FEATURES = "predictions", "features"
_BY_FALLBACK = ("predictions.level", "predictions.failed")
_ABOUT_ANSWERS = ("performance", "expected_performance", "calibration", "label_share")
"""Monitors of losses, and of what is estimated from answers: a release that answers wrongly moves all of them."""
_OF_ROWS = ("volume", "shift", "missing", "infinite", "length")
"""Monitors of rows: of those that follow from answers, a release may change all of it."""
_OF_NUMBERS = ("volume", "lost_events", "source_volume")
"""Monitors of how many rows there are, whatever is in them."""
_AT_ONCE, _MOST_ROWS = 3, 0.5
"""Columns of a table that changed at once in most of the rows: a source does that. The world moves some of the rows, as
when customers order from farther away, and then more at once."""
_UNIT_TOLERANCE = 0.08
"""How far a ratio of medians may be from a power of ten, as its decimal logarithm: 20 %."""
_DAY_US = 86_400_000_000


class TriageContext(Struct, frozen=True):
    """What happened to the application lately.

    `champion`, `champion_since_us`: what serves, and since when. `world_since_us`: since when the earliest finding
    holds that is no fault of our own, None without one: a champion learned after it follows the world. `stalled`:
    a consumer that stands still, "" for none. `moved`: {table of outcomes: the latest look with strong evidence of a
    change}, which may not be enough for a finding. `inputs`: tables of requests, such as "events.order"; other events
    may follow from answers.
    """

    champion: str = ""
    champion_since_us: int | None = None
    world_since_us: int | None = None
    stalled: str = ""
    moved: Mapping[str, int] = {}
    inputs: tuple[str, ...] = ()
    step: str = ""
    step_us: int | None = None


def triage_context(
    holding: Sequence[Finding],
    champion: str,
    since_us: int | None,
    *,
    earlier: Sequence[Finding] | None = None,
    moved: Mapping[str, int] | None = None,
    inputs: Sequence[str] = (),
    step: tuple[str, int | None] = ("", None),
) -> TriageContext:
    """The context that `holding`, the findings that hold, give; `moved`, `inputs`, `step`: as of `TriageContext`.

    `earlier`: those of the round before, with the origin that was said then; by default `holding`. What no round before
    saw, no champion was learned after.
    """
    before = holding if earlier is None else earlier
    world = [finding.since_us for finding in before if finding.origin != "own" and table_of(finding) != _PREDICTIONS]
    stalled = [finding.subject for finding in holding if finding.monitor == "consumer"]
    first_us = min(world, default=None)
    stands_still = next(iter(stalled), "")
    return TriageContext(champion, since_us, first_us, stands_still, dict(moved or {}), tuple(inputs), *step)


class _Seen(Struct, frozen=True):
    """What else a round found: columns that `moved` in most rows, whether any events, or requests, changed, whether
    answers changed with a release, and tables whose rows are `doubled`."""

    moved: list[Finding]
    events: bool
    requests: bool
    released: bool = False
    doubled: frozenset[str] = frozenset()


def triage(findings: Sequence[Finding], context: TriageContext) -> tuple[Finding, ...]:
    """The findings of a round, each with its likely origin, and in `evidence["likely"]` and its message the reason."""
    moved = [
        finding
        for finding in findings
        if finding.monitor.startswith(("shift", "missing", "length"))
        and finding.evidence.get("distance", 0.0) >= _MOST_ROWS
    ]
    seen = _Seen(
        moved,
        events=any(finding.subject.startswith("events.") for finding in findings),
        requests=any(table_of(finding) in context.inputs for finding in findings),
        released=any(
            table_of(finding) == _PREDICTIONS and finding.monitor != "volume" and bool(_of_release(finding, context))
            for finding in findings
        ),
        doubled=frozenset(
            table_of(finding) for finding in findings if finding.monitor.removesuffix("-daily") == "sent_twice"
        ),
    )
    return with_consequences([_explained(finding, seen, context) for finding in findings], context)


def with_consequences(findings: Sequence[Finding], context: TriageContext) -> tuple[Finding, ...]:
    """The findings; what follows from what is asked is our own fault, where all that changed in that is."""
    requests = [
        finding
        for finding in findings
        if table_of(finding) in context.inputs and finding.monitor.removesuffix("-daily") not in _OF_NUMBERS
    ]
    if not requests or any(finding.origin != "own" for finding in requests):
        return tuple(findings)
    why = f"it follows from {requests[0].subject}, and what changed there is our own fault"
    follows = {FOLLOWS: requests[0].fingerprint}
    return tuple(as_own(finding, why, follows) if _follows_inputs(finding) else finding for finding in findings)


def _follows_inputs(finding: Finding) -> bool:
    of_answers = table_of(finding) == _PREDICTIONS or finding.subject.startswith(f"{_FEATURES}.")
    return finding.origin != "own" and (of_answers or finding.monitor in _ABOUT_ANSWERS)


def table_of(finding: Finding) -> str:
    """The table that a finding is about, such as "events.Buy" or "predictions"."""
    parts = finding.subject.split(".")
    return parts[0] if parts[0] == _PREDICTIONS else ".".join(parts[:2])


def _explained(finding: Finding, seen: _Seen, context: TriageContext) -> Finding:
    likely = _likely(finding, seen, context)
    if not likely:
        return finding
    own = as_own(finding, likely)
    if likely == _of_release(finding, context):
        return replace(own, evidence={**own.evidence, RELEASE: likely})
    return own


def as_own(finding: Finding, likely: str, more: Mapping[str, str] = MappingProxyType({})) -> Finding:
    """The finding as a fault of our own, with the reason in its message and evidence; `more`: of the evidence."""
    message = f"{finding.message}; likely our own: {likely}"
    return replace(finding, origin="own", message=message, evidence={**finding.evidence, "likely": likely, **more})


def _likely(finding: Finding, seen: _Seen, context: TriageContext) -> str:
    """Why the finding is likely to be our own fault, "" if nothing says so."""
    if finding.monitor in _ABOUT_ANSWERS:
        return "" if seen.requests else _of_release(finding, context)
    table = table_of(finding)
    follows = seen.released and table not in (_PREDICTIONS, *context.inputs) and _may_follow(finding)
    if follows and not seen.requests and (of_release := _of_release(finding, context)):
        return of_release
    if finding.monitor == "volume" and table in seen.doubled and finding.origin != "own":
        return f"rows of {table} are sent twice"
    if not finding.monitor.startswith(("shift", "missing", "length")):
        return ""
    if EXCHANGED in finding.evidence:
        return str(finding.evidence[EXCHANGED])
    if table == _PREDICTIONS:
        return _of_answers(finding, seen, context)
    if table.startswith(_FEATURES):
        if context.stalled:
            return f"{context.stalled} stands still, so features are old"
        if finding.monitor.startswith("missing"):
            return "answers read it as missing, so the model imputed it"
    at_once = {
        other.subject
        for other in seen.moved
        if table_of(other) == table and abs(other.since_us - finding.since_us) <= _DAY_US
    }
    if len(at_once) >= _AT_ONCE:
        return f"{len(at_once)} columns of {table} changed in most rows at once, so their source did"
    return _unit(finding)


def _of_answers(finding: Finding, seen: _Seen, context: TriageContext) -> str:
    """Why answers that changed are our own doing, "" where they followed their inputs or a change of the world."""
    if _is_of_release(finding, context):
        return "" if seen.requests else _of_release(finding, context)
    if context.stalled:
        return f"{context.stalled} stands still, so what answers are made from is old"
    if finding.subject in _BY_FALLBACK:
        return "versions could not answer, so a fallback did: a store or service they need is away, or they fail"
    outcomes_moved = any(at_us >= finding.since_us for at_us in context.moved.values())
    return "" if seen.events or outcomes_moved else "no input changed, so the model, its features or its service did"


def _may_follow(finding: Finding) -> bool:
    """Whether the finding may follow from who answers; lost events do not, they are held against what was answered."""
    return finding.monitor.removesuffix("-daily") in _OF_ROWS


def _began_with(finding: Finding, at_us: int | None) -> bool:
    """Whether what was found began at `at_us` or shortly after: within the time that it took to be found, or a day."""
    if at_us is None:
        return False
    return finding.since_us - min(finding.at_us - finding.since_us, _DAY_US) <= at_us <= finding.at_us


def _is_of_release(finding: Finding, context: TriageContext) -> bool:
    """Whether others began to answer when what was found began, or shortly before."""
    return _began_with(finding, context.champion_since_us) or _began_with(finding, context.step_us)


def _of_release(finding: Finding, context: TriageContext) -> str:
    """The release that the finding came with, "" for none, or for one that followed a change of the world."""
    changes = (
        (f"{context.champion} became the champion", context.champion_since_us),
        (context.step, context.step_us),
    )
    for words, at_us in changes:
        follows = at_us is not None and context.world_since_us is not None and context.world_since_us < at_us
        if at_us is not None and _began_with(finding, at_us) and not follows:
            return f"{words} at {format_second(at_us)}"
    return ""


def _unit(finding: Finding) -> str:
    medians = finding.evidence.get("medians")
    if not (isinstance(medians, list | tuple) and len(medians) == 2 and all(median > 0 for median in medians)):
        return ""
    power = log10(medians[1] / medians[0])
    if round(power) == 0 or abs(power - round(power)) > _UNIT_TOLERANCE:
        return ""
    factor = f"{10 ** abs(round(power)):,}"
    times = f"{factor} times" if power > 0 else f"1/{factor} of"
    return f"the values are {times} the usual ones, as by a change of unit"
