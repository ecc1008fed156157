"""`flyball backtest`: what policies of retraining would have done in the past, in one table."""

from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Set, Wide, open_home
from flyball.cli.show import progress_line, say, show_json, show_table
from flyball.core import counted_units, format_duration, format_second, parse_duration, parse_timestamp

if TYPE_CHECKING:
    from flyball.evaluation import Estimate
    from flyball.learning import BacktestReport


def register(app: typer.Typer) -> None:
    app.command()(backtest)


def backtest(
    app: AppName,
    policies: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            help="manual, every:1d, volume:500 or performance:5%; update:1d and update:performance:5% continue from a "
            "checkpoint, every:1d@7d and every:1d@drift learn from a window; repeatable.",
            show_default="one of each stage",
        ),
    ] = None,
    candidate: Annotated[
        str, typer.Option("--candidate", help="One of the application's.", show_default="that of the champion")
    ] = "",
    windows: Annotated[int, typer.Option("--windows", min=1, help="Test windows in a row.")] = 10,
    span: Annotated[str, typer.Option("--span", help="Of a test window; policies decide before each.")] = "1d",
    since: Annotated[
        str | None,
        typer.Option("--since", help="When the last drift began, for @drift.", show_default="by findings"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of what is drawn, and of the fits.")] = 0,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that train side by side.")] = 1,
    home: Home = None,
    chosen: Set = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Replay policies of retraining on history: quality, runs and cost of each on the same requests.

    All begin with the same model. Before each window each policy decides by what was known then whether to learn; its
    model answers the window. update: continues from what the model had learned, where it can; @7d learns from the last
    seven days alone, @drift from all since the last drift. The first policy is the one that the others are compared
    with; the ratio is how many times as long the first every: policy trained.
    """
    from flyball.learning import backtest as replay
    from flyball.learning import parse_policy

    runtime = open_home(app, home, chosen)
    metric = runtime.app.choose.metric
    with progress_line(json) as progress:
        report = replay(
            runtime,
            [parse_policy(text, metric) for text in dict.fromkeys(policies or ())],
            windows=windows,
            span_us=parse_duration(span, "--span"),
            candidate=candidate,
            since_us=0 if since is None else parse_timestamp(since),
            seed=seed,
            workers=workers,
            progress=progress,
        )
    if json:
        show_json(report)
    else:
        _show(report, wide)


def _show(report: "BacktestReport", wide: bool) -> None:
    tested = counted_units(report.requests, "request")
    span = format_duration(report.span_us)
    say(f"{report.candidate} on {tested} in {report.tested} windows of {span} from {format_second(report.start_us)}")
    say()
    first = report.policies[0].policy
    heads = [report.metric, "runs", "continued", "training s", "ratio"]
    rows = [
        [
            result.policy,
            result.stage,
            f"{result.value:.4f}",
            None if result.gain is None else _interval(result.gain),
            f"{result.runs}",
            f"{result.continued}",
            f"{result.seconds:.2f}",
            None if result.ratio is None else f"{result.ratio:.1f}",
        ]
        for result in report.policies
    ]
    columns = ["policy", "stage", report.metric, f"better than {first} by", *heads[1:]]
    show_table(columns, rows, right=heads, optional=["continued", "stage"], wide=wide)
    for note in report.notes:
        say(f"note: {note}")


def _interval(estimate: "Estimate") -> str:
    """+0.1234 [+0.1200, +0.1270]."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.4f}"
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"
