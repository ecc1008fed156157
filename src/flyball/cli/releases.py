"""`flyball releases ...`: versions before users, step by step: list, show, start, advance, pause, resume, abort, ..."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from flyball.cli.arrangements import Reason
from flyball.cli.common import AppName, By, Home, Json, Wide, now_in, open_home
from flyball.cli.learning import changed
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table
from flyball.core import FlyballError, Refused, format_timestamp
from flyball.home import with_home

if TYPE_CHECKING:
    from flyball.releases import Release, ReleaseDescription, ShadowDescription
    from flyball.runtime import Runtime

commands = group("Releases: list, show, start, advance, pause, resume, abort, promote, finish, rollback.")

ReleaseId = Annotated[str, typer.Argument(metavar="RELEASE", help="Such as rel3; see flyball releases list.")]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="releases")


@commands.command("list")
def list_releases(app: AppName, home: Home = None, wide: Wide = False, json: Json = False) -> None:
    """List all releases: their versions, state, since when and why."""
    from flyball.releases import all_releases, shown_state

    runtime = open_home(app, home)
    releases = all_releases(runtime.registry)
    ended = {release.id: _ended(runtime, release) for release in releases if release.state in _ENDED_EARLY}
    if json:
        ends = {name: {"ended_by": by, "ended_reason": reason} for name, (by, reason) in ended.items()}
        show_json({"releases": [{**msgspec.structs.asdict(it), **ends.get(it.id, {})} for it in releases]})
        return
    if not releases:
        say("no releases yet: run flyball learn, or flyball releases start")
        return
    rows = [
        [
            release.id,
            release.kind,
            ", ".join(release.answered_by),
            release.over or None,
            shown_state(release),
            format_timestamp(release.since_us // 1_000_000 * 1_000_000),
            *ended.get(release.id, (release.by, release.reason)),
        ]
        for release in releases
    ]
    columns = ["release", "kind", "versions", "against", "state", "since", "by", "reason"]
    show_table(columns, rows, optional=["reason", "by", "since"], wide=wide)


_ENDED_EARLY = ("rolled_back", "aborted", "ended")


def _ended(runtime: "Runtime", release: "Release") -> tuple[str, str]:
    """Who ended a release that its version did not survive, and why; how it began is in `flyball releases show`."""
    from flyball.releases import last_step

    step = last_step(runtime.registry, release)
    return step.by, step.reason


@commands.command()
def show(app: AppName, release: ReleaseId, home: Home = None, json: Json = False) -> None:
    """Show one release: its arms and traffic, its effects and what may be concluded, what is still missing, all of its
    steps."""
    from flyball.operations import catch_up

    runtime = open_home(app, home)
    catch_up(runtime)
    described = describe(runtime, release)
    if json:
        show_json(described)
    else:
        _show(described, with_home(app, home))


def describe(runtime: "Runtime", release_id: str) -> "ReleaseDescription":
    """One release with what is known of it now."""
    from flyball.operations import BanditRewards, ReleaseMetrics
    from flyball.releases import describe_now

    metrics = ReleaseMetrics(runtime, all_metrics=True)
    described = describe_now(
        runtime.registry,
        release_id,
        runtime.exposures_now(),
        runtime.shadow_counter,
        now_in(runtime),
        metrics,
        rewards=BanditRewards(runtime),
        ends=runtime.predictions.ends(),
    )
    result = metrics.results.get(release_id)
    if result is None:
        return described
    effects = {"missing": str(result)} if isinstance(result, FlyballError) else result.document()
    return msgspec.structs.replace(described, effects=effects)


def _show(described: "ReleaseDescription", app: str) -> None:
    release = described.release
    against = f" against {release.over}" if release.over else ""
    say(f"{release.id}: {release.kind} of {', '.join(release.answered_by)}{against}, {described.state}")
    say(f"by {release.by}: {release.reason}")
    say(_who(release))
    if described.arms:
        say()
        rows = [
            [row["arm"], f"{row['share']:.2%}", f"{row['answers']:,}", f"{sum(row['failed'].values()):,}"]
            for row in described.arms
        ]
        show_table(["arm", "share", "answers", "not by its version"], rows, right=["share", "answers"])
    if described.shadow is not None:
        _show_shadow(described.shadow)
    if described.shadow_progress:
        say(f"\nthe shadow: {described.shadow_progress}")
    effects = described.effects.get("sentences") or [*filter(None, [described.effects.get("missing")])]
    for title, lines in (
        (_guardrails_title(release), [verdict.sentence for verdict in described.guardrails]),
        ("what its end was decided on", _decided_on(described)),
        ("metrics", [line for line in described.metrics if not any(line in effect for effect in effects)]),
        (f"effects (all numbers: flyball experiments show {app} {release.id})", effects),
        ("before it advances, it must be shown", described.missing),
    ):
        if lines:
            say(f"\n{title}:")
            for line in lines:
                say(f"  {line}")
    say(f"\nnext: {described.next}")
    say("\nwhat was done:")
    show_table(
        ["at", "by", "what", "state", "reason"],
        [
            [
                format_timestamp(step.at_us // 1_000_000 * 1_000_000),
                step.by,
                step.command,
                f"{step.after}{f', step {step.step + 1}' if step.after == 'canary' else ''}",
                step.reason,
            ]
            for step in described.steps
        ],
    )


def _guardrails_title(release: "Release") -> str:
    """What the verdicts below it hold for."""
    alpha, tests = release.constants.get("alpha", 0.0), int(release.constants.get("abort_tests", 0))
    over = f", over all {tests} comparisons that may abort" if tests > 1 else ""
    return (
        f"guardrails (valid at every look; an abort for a harm that is none has a chance of at most {alpha:.2%}{over})"
    )


def _decided_on(described: "ReleaseDescription") -> list[str]:
    """What was known when a release ended by itself, as the registry has it."""
    last = described.steps[-1].evidence if described.steps and not described.guardrails else {}
    return [line for name in ("guardrails", "metrics") for line in last.get(name, ())]


def _show_shadow(shadow: "ShadowDescription") -> None:
    say(f"\nas a shadow ({shadow.sampled:.2%} of the requests; one in five is answered by the champion again):")
    rows = [
        [
            "candidate" if arm.arm == "candidate" else "champion again",
            f"{arm.answers:,}",
            ", ".join(f"{why} {count:,}" for why, count in arm.failed.items()) or "none",
            f"{arm.empty:,}",
            *(None if took is None else f"{took:.1f}" for took in (arm.p50_ms, arm.p99_ms)),
            f"{arm.newer:,}",
        ]
        for arm in shadow.arms
    ]
    columns = ["answers by", "answers", "failed", "empty", "p50 ms", "p99 ms", "from a newer state"]
    show_table(columns, rows, right=["answers", "empty", "p50 ms", "p99 ms", "from a newer state"])
    say("\nbeside the served answers:")
    compared = [
        [
            row.measure,
            row.slice or "all",
            f"{row.answers:,}",
            f"{row.mean:.4g}",
            "too few yet" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}",
            None if row.again is None else f"{row.again:.4g}",
        ]
        for row in shadow.measures
    ]
    columns = ["measure", "requests", "answers", "candidate", "95 % interval, at any look", "champion again"]
    show_table(columns, compared, right=["answers", "candidate", "champion again"])
    if shadow.left_out:
        say("left out: " + ", ".join(f"{reason} {count:,}" for reason, count in shadow.left_out.items()))


def _who(release: "Release") -> str:
    unit = " or ".join(release.unit) or "the request's key"
    only = "".join(f", only {field} {' or '.join(values)}" for field, values in release.targets.items())
    traffic = f", {(release.end - release.first) / 100:g} % of layer {release.layer}"
    return f"units: {unit}{only}{traffic if release.end - release.first < 10_000 else ''}"


@commands.command()
def start(
    app: AppName,
    versions: Annotated[
        list[str],
        typer.Argument(
            metavar="VERSION...",
            help="What to put into service: one for each arm, such as v3, v3@a2 or @a2 by an arrangement.",
        ),
    ],
    by: By,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="As a shadow first: it answers beside the champion, unseen.")
    ] = False,
    sample: Annotated[
        float | None,
        typer.Option("--sample", help="Percent of the requests that a shadow answers.", show_default="as declared"),
    ] = None,
    interleave: Annotated[
        bool,
        typer.Option("--interleave", help="Draft lists from these versions and the champion, whatever is declared."),
    ] = False,
    credit: Annotated[
        str, typer.Option("--credit", help="With --interleave: the label that earns credit.", show_default="the first")
    ] = "",
    reason: Reason = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Start a release of a version, as the application's file declares (release=fb.canary(...) and its like)."""
    from flyball.policy import as_shadow
    from flyball.releases import current, declared_arrangement, start_release
    from flyball.tasks import interleaved_plan

    if sample is not None and not shadow:
        raise Refused("--sample must come with --shadow: it says how much of the traffic a shadow answers")
    if credit and not interleave:
        raise Refused("--credit must come with --interleave: it says which label earns credit for the lists it drafts")
    if shadow and interleave:
        raise Refused("--shadow must come without --interleave: what it drafts is seen")
    runtime = open_home(app, home)
    plan, about = runtime.app.release, runtime.app.task.about
    if interleave:
        plan = interleaved_plan(plan, versions, credit, about, runtime.app.metrics)
    now_us = runtime.clock.now_us()
    actor = runtime.actor(by, reason, now_us)
    runtime.exposures_now()
    change = start_release(
        runtime.registry,
        as_shadow(plan, sample) if shadow else plan,
        versions,
        actor,
        constants=runtime.release_constants(current(runtime.registry).champion, now_us),
        arrangement=declared_arrangement(runtime.registry, runtime.app.name, about.arrangement, actor.by, now_us),
    )
    changed(change, json)


def _change(app: str, release: str, command: Any, by: str, reason: str, home: Any, json: bool, **options: Any) -> None:
    from flyball.releases import change_release

    runtime = open_home(app, home)
    changed(change_release(runtime.registry, release, command, runtime.actor(by, reason), **options), json)


@commands.command()
def pause(
    app: AppName, release: ReleaseId, by: By, reason: Reason = "by hand", home: Home = None, json: Json = False
) -> None:
    """Pause a release: units keep their arms, and nothing advances until it is resumed."""
    _change(app, release, "pause", by, reason, home, json)


@commands.command()
def resume(
    app: AppName, release: ReleaseId, by: By, reason: Reason = "by hand", home: Home = None, json: Json = False
) -> None:
    """Resume a release that is held or paused, where it was."""
    _change(app, release, "resume", by, reason, home, json)


@commands.command()
def abort(
    app: AppName, release: ReleaseId, by: By, reason: Reason = "by hand", home: Home = None, json: Json = False
) -> None:
    """End a release: within a second the champion answers all units again."""
    _change(app, release, "abort", by, reason, home, json)


@commands.command()
def advance(
    app: AppName, release: ReleaseId, by: By, reason: Reason = "by hand", home: Home = None, json: Json = False
) -> None:
    """Let a shadow become a canary, or a canary take its next step, whatever is still to be shown."""
    _change(app, release, "advance", by, reason, home, json)


@commands.command()
def promote(
    app: AppName,
    release: ReleaseId,
    by: By,
    version: Annotated[
        str, typer.Option("--version", help="Which of its versions, where it has several.", show_default="the last")
    ] = "",
    reason: Reason = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Let the version of a release serve all units from now on, whatever evidence is missing."""
    _change(app, release, "promote", by, reason, home, json, version=version)


@commands.command()
def finish(
    app: AppName, release: ReleaseId, by: By, reason: Reason = "by hand", home: Home = None, json: Json = False
) -> None:
    """End a finished experiment; the champion stays."""
    _change(app, release, "finish", by, reason, home, json)


@commands.command("rollback")
def roll_back(
    app: AppName, release: ReleaseId, by: By, reason: Reason = "by hand", home: Home = None, json: Json = False
) -> None:
    """Undo the release that made the champion: the one before it serves again."""
    _change(app, release, "rollback", by, reason, home, json)
