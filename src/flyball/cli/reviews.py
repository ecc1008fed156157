"""`flyball reviews list|verdict`: what a person should look at, and what they found."""

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyball.cli.common import AppName, Home, Json, mode_in, now_in, open_home, pairs
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table
from flyball.core import BadInput, find_zone, format_timestamp, parse_duration

if TYPE_CHECKING:
    from flyball.outcomes import Review, ReviewLoad
    from flyball.runtime import Runtime
    from flyball.tasks import Reviews

commands = group("What the application sent to review: list it, give a verdict.")


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="reviews")


@commands.command("list")
def list_reviews(
    app: AppName,
    since: Annotated[str, typer.Option("--since", help="How far back to look.")] = "30d",
    all_: Annotated[bool, typer.Option("--all", help="Those with a verdict, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    home: Home = None,
    json: Json = False,
) -> None:
    """List the open reviews, the oldest first."""
    from flyball.outcomes import read_reviews, review_load

    runtime = open_home(app, home)
    plan, now_us = _plan(runtime), now_in(runtime)
    from_us = now_us - parse_duration(since, "--since")
    reviews = read_reviews(runtime.predictions, runtime.log, runtime.schema, plan, from_us)
    waiting = [review for review in reviews if review.verdict is None]
    shown, load = (reviews if all_ else waiting)[:limit], review_load(reviews, now_us, _zone(runtime))
    if json:
        show_json({"open": len(waiting), "reviews": shown, "load": load, "reviews_per_day": plan.per_day})
        return
    names = runtime.app.task.about.values
    rows = [
        [
            review_row.prediction,
            format_timestamp(review_row.at_us),
            _words(review_row.request),
            " ".join(f"{name}={value:.3g}" for name, value in zip(names, review_row.values, strict=False))
            or review_row.level,
            _verdict_words(review_row),
        ]
        for review_row in shown
    ]
    if rows:
        show_table(["prediction", "asked", "request", "answer", "verdict"], rows)
    say(f"{len(waiting)} open of {len(reviews)} sent to review in the last {since}")
    if load is not None:
        say(_load_words(load, plan, _zone(runtime)))


@commands.command("verdict")
def verdict(
    app: AppName,
    prediction: Annotated[str, typer.Argument(metavar="PREDICTION", help="The response that was sent to review.")],
    values: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="Fields of the verdict, such as fraud=true.")
    ],
    again: Annotated[
        bool,
        typer.Option("--again", help="Replace an earlier verdict that differs from this one."),
    ] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Enter a verdict as an event: it counts as the outcome of the response, and the next learning sees it.

    Fields that the verdict has in common with the request may be omitted. A second verdict with the same values is not
    entered.
    """
    import msgspec

    from flyball.events import ERASED, LineSource, find_format, ingest_lines
    from flyball.outcomes import adds_to, find_prediction, verdict_fields, verdicts_on

    runtime = open_home(app, home)
    plan, now_us = _plan(runtime), now_in(runtime)
    reviewed = find_prediction(runtime.predictions, prediction)
    fields = verdict_fields(plan, reviewed, pairs(values, "a verdict"))
    name = plan.verdict.__name__.lower()
    line = msgspec.json.encode({"type": name, "at": format_timestamp(now_us), **fields})
    earlier = verdicts_on(runtime.log, runtime.schema, plan, reviewed)
    if not adds_to(plan, reviewed, earlier, fields, now_us, again):
        if json:
            show_json({"prediction": prediction, "verdict": "duplicate", "event": {"type": name, **fields}})
            return
        say(f"{name} was there already, since {format_timestamp(earlier[0][0])}")
        return
    runtime.catalog.catch_up(runtime.log)
    source = LineSource("reviews", find_format("jsonl"), "jsonl", mode_in(runtime))
    (result,) = ingest_lines([line], source, runtime.inlet).verdicts
    if result.verdict in ("quarantined", ERASED):
        raise BadInput(f"verdict on {prediction}", f"a good {name} ({result.reason}: {result.detail})", fields)
    if json:
        show_json({"prediction": prediction, "verdict": result.verdict, "event": {"type": name, **fields}})
        return
    say(f"{name} entered: {_words(fields)}" if result.verdict == "accepted" else f"{name} was there already")


def _load_words(load: "ReviewLoad", plan: "Reviews", zone: tzinfo) -> str:
    """How many came a day, beside the declared number."""
    busiest = datetime.fromtimestamp(load.busiest_us // 1_000_000, zone).date()
    words = f"{load.per_day:.3g} a day on average, {load.most} on the busiest, {busiest}"
    if plan.per_day is None:
        return words
    if not load.by_default:
        return f"{words}; reviews_per_day={plan.per_day:g} is the most that a day has"
    return (
        f"{words}; {load.by_default} by default, since no version answered, which "
        f"reviews_per_day={plan.per_day:g} does not hold back"
    )


def _zone(runtime: "Runtime") -> tzinfo:
    """In which days are counted."""
    limit = runtime.app.task.about.daily_limit
    return UTC if limit is None else find_zone(limit.zone)


def _plan(runtime: "Runtime") -> "Reviews":
    plan = runtime.app.task.about.reviews
    if plan is None:
        must = "fb.decide(..., review=COST, verdict=EVENT), to have reviews"
        raise BadInput(f"decide of {runtime.app.name}'s task", must, None)
    return plan


def _words(fields: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in fields.items())


def _verdict_words(review: "Review") -> str:
    """The verdict that counts, and that others found otherwise."""
    if review.verdict is None:
        return ""
    return _words(review.verdict) + (f" ({review.verdicts} that disagree)" if review.disagree else "")
