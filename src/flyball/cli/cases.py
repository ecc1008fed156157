"""`flyball cases list|show`: why learning began, what came of it, and what that was worth."""

from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Wide, now_in, open_home
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table
from flyball.core import format_second

if TYPE_CHECKING:
    from flyball.releases import CaseReport, VersionChange
    from flyball.runtime import Runtime

commands = group("Cases: why learning began, or did not, and what came of it: list, show.")


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="cases")


@commands.command("list")
def list_cases(
    app: AppName,
    payoff: Annotated[
        bool, typer.Option("--payoff", help="Measure what each release was worth; reads the outcomes.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 20,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """List the causes to learn again, oldest first: trigger, run, version and what became of it."""
    from flyball.releases import case_reports, case_table, waiting_cases

    runtime = open_home(app, home)
    reports = case_reports(runtime.registry)[-limit:]
    if payoff:
        reports = _measured(runtime, reports)
    if json:
        show_json({"cases": reports})
        return
    if not reports:
        say("no cases yet: a trigger of retrain= opens one, and so does flyball learn")
        return
    columns, rows = case_table(reports)
    show_table(columns, rows, optional=["payoff", "opened", "version", "trigger"], wide=wide)
    for line in waiting_cases(runtime.registry):
        say(line)


@commands.command()
def show(
    app: AppName,
    case: Annotated[str, typer.Argument(metavar="CASE", help="Such as c3; see flyball cases list.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Show one case: its cause with numbers, why it had to wait, the run, gates, release, and the measured payoff."""
    from flyball.releases import case_reports

    runtime = open_home(app, home)
    (report,) = _measured(runtime, case_reports(runtime.registry, case))
    if json:
        show_json(report)
        return
    for line in _lines(report):
        say(line)


def _measured(runtime: "Runtime", reports: list["CaseReport"]) -> list["CaseReport"]:
    from flyball.learning import with_payoffs
    from flyball.operations import catch_up

    catch_up(runtime)
    return with_payoffs(runtime, reports, now_in(runtime))


def change_line(change: "VersionChange") -> str:
    """One change of a release of a version, in a line."""
    after = change.after.replace("_", " ")
    why = f": {change.reason}" if change.reason else ""
    what = f"{change.command} of {change.release} ({change.version})"
    return f"  {format_second(change.at_us)} {what} by {change.by}, now {after}{why}"


def _lines(report: "CaseReport") -> list[str]:
    from flyball.registry import INTERRUPTED
    from flyball.releases import payoff_text

    case = report.case
    left = f"{INTERRUPTED}; the next run of learning closes this case and has one of its own"
    outcome = left if case.status == "interrupted" else case.outcome
    expected = case.expected
    gain = "unknown" if expected.get("gain") is None else f"{expected['gain']:+z.3g}"
    cost = "unknown" if expected.get("cost_s") is None else f"{expected['cost_s']:.1f} s"
    lines = [
        f"case {case.id} of {format_second(case.opened_us)}: {case.trigger}",
        f"cause: {case.cause}",
        f"expected: gain {gain}, cost {cost} ({expected.get('note', '')})",
        *(f"waited from {format_second(refusal['at_us'])}: {refusal['reason']}" for refusal in case.refusals),
    ]
    if case.run:
        seconds = f", {report.seconds:.1f} s" if report.seconds else ""
        lines.append(f"run {case.run}{seconds}: {outcome or report.verdict}")
    elif outcome:
        lines.append(f"ended: {outcome}")
    lines += [f"  {name}: {reason or 'passed its gates'}" for name, reason in report.gates.items()]
    if report.release:
        lines.append(f"release {report.release} of {report.version}: {report.release_state.replace('_', ' ')}")
    lines += [change_line(change) for change in report.changes]
    lines.append(f"verdict: {report.verdict}")
    if (payoff := payoff_text(report)) is not None:
        lines.append(f"payoff: {payoff}")
    return lines
