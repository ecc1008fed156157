"""Runs the gates, which decide whether a candidate may serve."""

import msgspec

from flyball.evaluation import GateResult, Report, Rivals, check_gates
from flyball.learning.champion import Champion, twin_of
from flyball.learning.job import Job
from flyball.learning.report import ServedComparison


def gates_of(
    job: Job,
    report: Report,
    champion: Champion | None,
    served: ServedComparison | None = None,
    served_report: Report | None = None,
) -> dict[str, list[GateResult]]:
    """{candidate: results of its gates}. A candidate whose fit failed is no reference for others. `served`: the
    comparison with the champion as it serves, and its report."""
    app = job.runtime.app
    plan, twin = app.task.offline().plan(), twin_of(job.challengers.models, champion)
    label, must_beat = next(iter(plan.baselines)), job.challengers.baselines[0]
    rivals = Rivals(
        champion=champion.name if champion is not None and not report.of(champion.name).failed else None,
        must_beat="" if report.of(must_beat).failed else must_beat,
        must_beat_label=label,
        must_beat_by=plan.default,
    )
    return {
        name: check_gates(
            app.gates,
            plan.gates,
            report,
            name,
            msgspec.structs.replace(
                rivals,
                own_recipe=name == twin,
                same_model="" if served is None or name != twin else _instead(served),
            ),
            app.choose.metric,
            served_report if name == twin else None,
        )
        for name in job.challengers.candidates
    }


def _instead(served: ServedComparison) -> str:
    return str(served) if served.missing else "holds_served_champion compares it with what serves"


def rejection(gates: list[GateResult]) -> str:
    """Why the gates reject a candidate; "" when they do not."""
    return "; ".join(f"{gate.name}: {gate.reason}" for gate in gates if not gate.passed)
