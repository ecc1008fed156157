"""`flyball features list|rebuild|backfill|audit`: what is declared, what it costs, whether answers agree with it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from flyball.cli.backfill import backfill_rows
from flyball.cli.common import AppName, Home, Json, open_home
from flyball.cli.sections import group as noun
from flyball.cli.show import applied_words, progress_line, say, show_json, show_table
from flyball.core import BadInput, NotFound, counted_units, format_duration, parse_duration, parse_size

if TYPE_CHECKING:
    from flyball.features import Derived, Group
    from flyball.history import Delay
    from flyball.registry import Version
    from flyball.runtime import Runtime

_AUDITED = ["feature", "compared", "wrong", "looked at", "stale", "late", "p50", "p90", "p99", "max"]


class Freshness(msgspec.Struct, frozen=True):
    """The declared freshness of a feature, and the measured 99th percentile of the last days (None where not measured).
    `met`: whether it is fresh enough."""

    target_us: int
    p99_us: int | None
    met: bool | None

    def text(self) -> str:
        """As text for people."""
        target = format_duration(self.target_us)
        return f"{target}, not measured" if self.p99_us is None else f"{self.p99_us / 1e6:.2f} s of {target}"


class FeatureRow(msgspec.Struct, frozen=True):
    """One feature as `flyball features list --json` prints it.

    `kind`: of the window, "tiled", "exact" or "lifetime", or "computed" or "hashed" for a feature derived at the
    request; `window`: its length. `type`: of the value. `bytes`: the mean size of a key's state, of all features of the
    group; `behind`: records of the log not applied yet; None where nothing is stored. `versions`: those that learned
    from it, with "(other)" after one that learned from another definition.
    """

    name: str
    keys: list[str]
    definition: str
    window: str | None
    kind: str
    type: str
    hash: str
    freshness: Freshness | None
    bytes: float | None
    behind: int | None
    versions: list[str]


commands = noun("The declared features: list, rebuild, backfill, audit.")


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="features")


GroupOption = Annotated[str | None, typer.Option("--group", help="This group only, such as film.", show_default="all")]


@commands.command("list")
def list_(app: AppName, home: Home = None, json: Json = False) -> None:
    """List the declared features: window, type, freshness, size, and the versions that read them."""
    _list(open_home(app, home), json)


@commands.command("rebuild")
def rebuild_(
    app: AppName,
    group: GroupOption = None,
    low: Annotated[str | None, typer.Option("--from", help="Keys from this one on.")] = None,
    high: Annotated[str | None, typer.Option("--to", help="Keys before this one.")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Recompute the online features of a range of keys from the log.

    It runs beside the service and swaps in the new values atomically. Where machines share the store, run it on the one
    whose log worker writes to it: flyball status names it.
    """
    _rebuild(open_home(app, home), group, low, high, json)


@commands.command()
def backfill(
    app: AppName,
    rows: Annotated[Path, typer.Option("--rows", help="A csv or parquet file with keys and at (times).")],
    out: Annotated[Path, typer.Option("--out", help="The csv or parquet file to write.")],
    group: GroupOption = None,
    memory: Annotated[str, typer.Option("--memory", help="The most memory for events.")] = "2GB",
    processes: Annotated[int, typer.Option("--processes", min=1, help="Number of processes.")] = 1,
    home: Home = None,
    json: Json = False,
) -> None:
    """Add point-in-time features to each row of a file, by its keys and its time.

    When it was stopped, run it again: it continues where it was.
    """
    memory_bytes = parse_size(memory)
    if memory_bytes < 1 << 20:
        raise BadInput("--memory", "1MiB or more", memory)
    _backfill(open_home(app, home), rows, out, group, memory_bytes, processes, json)


@commands.command()
def audit(
    app: AppName,
    last: Annotated[str, typer.Option("--last", help="How far back to look, such as 1h or 7d.")] = "1h",
    target: Annotated[
        str | None, typer.Option("--target", help="How fresh features should be.", show_default="as they declare")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Look at this many answers, evenly chosen.")] = 5_000,
    from_log: Annotated[bool, typer.Option("--from-log", help="Read the log alone, not the history.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Recompute the features of past answers from the log, and compare every bit.

    Any difference is an error in Flyball or in a store, and ends with exit code 1; so does an audit that finds no
    answer to look at, since it shows nothing. Freshness is reported separately.
    """
    from flyball.provenance import audit as audit_now

    runtime = open_home(app, home)
    target_us = None if target is None else parse_duration(target, "--target")
    report = audit_now(runtime, runtime.clock.now_us() - parse_duration(last, "--last"), target_us, most, from_log)
    if json:
        features = [{**msgspec.to_builtins(feature), "met": feature.met} for feature in report.features]
        show_json({**msgspec.to_builtins(report), "features": features, "exact": report.exact, "passed": report.passed})
    else:
        say(report.text())
        if report.features:
            say()
            show_table(
                [*_AUDITED, "target"],
                [
                    [
                        feature.name,
                        f"{feature.values:,}",
                        feature.wrong,
                        f"{feature.looked:,}",
                        feature.stale,
                        feature.late,
                        *(_seconds(feature.lag_us.get(name)) for name in ("p50", "p90", "p99", "max")),
                        f"{format_duration(feature.target_us)} {'met' if feature.met else 'MISSED'}",
                    ]
                    for feature in report.features
                ],
                right=_AUDITED[1:],
            )
    if not report.passed:
        raise typer.Exit(1)


def _seconds(lag_us: int | None) -> str | None:
    return None if lag_us is None else f"{lag_us / 1e6:.2f} s"


def _list(runtime: "Runtime", json: bool) -> None:
    from flyball.features import read_apply_delays

    delays = read_apply_delays(runtime.apply_delays_path)
    applied = delays.get("features")
    about, versions = runtime.app.task.about, runtime.registry.versions()
    rows = [row for group in about.feature_groups for row in _rows(runtime, group, applied, versions)]
    derived = about.features.derived if about.features is not None else {}
    rows += [
        _derived(name, derived_feature, about.feature_hashes[name], versions)
        for name, derived_feature in derived.items()
    ]
    if json:
        show_json({"features": rows, "apply_delays": delays})
        return
    if not rows:
        say(f"{runtime.app.name} declares no features")
        return
    show_table(
        ["feature", "definition", "window", "kind", "type", "hash", "freshness", "bytes/key", "behind", "versions"],
        [
            [
                derived_feature.name,
                derived_feature.definition,
                derived_feature.window,
                derived_feature.kind,
                derived_feature.type,
                derived_feature.hash,
                derived_feature.freshness.text() if derived_feature.freshness else None,
                None if derived_feature.bytes is None else f"{derived_feature.bytes:.0f}",
                derived_feature.behind,
                " ".join(derived_feature.versions),
            ]
            for derived_feature in rows
        ],
        right=["bytes/key", "behind"],
    )
    if delays:
        say()
        say(f"{applied_words(delays)}; examples see an event only that long after it was known")


def _rows(
    runtime: "Runtime", group: "Group", applied: "Delay | None", versions: "Sequence[Version]"
) -> list[FeatureRow]:
    from flyball.features import bytes_per_key

    offsets, ends = runtime.feature_state.offsets(), runtime.log.ends()
    size = bytes_per_key(runtime.feature_state, group.name)
    padded = (*offsets, *[0] * (len(ends) - len(offsets)))
    behind = sum(end - at for end, at in zip(ends, padded, strict=True)) if any(offsets) else None
    feature_rows = []
    for definition in group.definitions:
        windows = [part.window for part, _ in definition.aggregates]
        target_us, p99_us = definition.feature.freshness_us, None if applied is None else applied.p99_us
        feature_rows.append(
            FeatureRow(
                name=definition.name,
                keys=list(group.keys),
                definition=definition.feature.text(),
                window=_joined([window.length for window in windows]),
                kind=_joined([window.kind for window in windows]),
                type=definition.result,
                hash=definition.hash,
                freshness=Freshness(target_us, p99_us, None if p99_us is None else p99_us <= target_us),
                bytes=size,
                behind=behind,
                versions=_users(definition.name, definition.hash, versions),
            )
        )
    return feature_rows


def _derived(name: str, derived: "Derived", digest: str, versions: "Sequence[Version]") -> FeatureRow:
    return FeatureRow(
        name=name,
        keys=[],
        definition=f"{derived.op}({', '.join(derived.inputs)})",
        window=None,
        kind=derived.op,
        type=derived.result,
        hash=digest,
        freshness=None,
        bytes=None,
        behind=None,
        versions=_users(name, digest, versions),
    )


def _users(name: str, digest: str, versions: "Sequence[Version]") -> list[str]:
    """The versions that learned from a feature."""
    version_ids = []
    for version in versions:
        learned = version.features.get(name)
        if learned is not None:
            version_ids.append(version.id if learned == digest else f"{version.id}(other)")
    return version_ids


def _joined(texts: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(texts))


def _rebuild(runtime: "Runtime", group: str | None, low: str | None, high: str | None, json: bool) -> None:
    from flyball.features import rebuild
    from flyball.operations import FEATURE_LOCK, writing_online

    groups = {feature_group.name: feature_group for feature_group in runtime.app.task.about.feature_groups}
    if group is not None and group not in groups:
        raise NotFound("group of features", group, groups, "" if groups else "the application declares none")
    done = []
    with writing_online(runtime), progress_line(json) as progress:
        for name in [group] if group is not None else list(groups):
            report = partial(_report, progress, name)
            done.append(
                rebuild(
                    runtime.log,
                    runtime.schema,
                    groups[name],
                    runtime.feature_state,
                    low=low,
                    high=high,
                    clock=runtime.clock,
                    lock=runtime.home / FEATURE_LOCK,
                    progress=report,
                )
            )
    if json:
        show_json({"rebuilt": done})
        return
    for rebuilt in done:
        say(
            f"{rebuilt.group}: {counted_units(rebuilt.keys, 'key')} written, {rebuilt.removed:,} removed, "
            f"at offsets {list(rebuilt.offsets)}"
        )


def _backfill(
    runtime: "Runtime", rows: Path, out: Path, group: str | None, memory_bytes: int, processes: int, json: bool
) -> None:
    done = backfill_rows(runtime, rows, out, group, memory_bytes, processes, quiet=json)
    if json:
        show_json(msgspec.to_builtins(done))
        return
    say(
        f"wrote {counted_units(done.rows, 'row')} with {counted_units(len(done.features), 'feature')}, "
        f"from {counted_units(done.events, 'event')}, to {done.file}"
    )
    say(f"each row sees events {format_duration(done.apply_delay_us)} after they were known, as the service does")


def _report(progress: Callable[[str], None], name: str, at: int, total: int) -> None:
    progress(f"{name}: {at:,} of {counted_units(total, 'record')}")
