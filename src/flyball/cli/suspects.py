"""`flyball suspects list|hold|release|held`: accounts that act as no others do, and whether they count in training."""

from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, By, Home, Json, now_in, open_home
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table
from flyball.core import BadInput, counted_units, format_second, parse_timestamp
from flyball.home import with_home

if TYPE_CHECKING:
    from flyball.monitoring import Suspects
    from flyball.runtime import Runtime

_SENTENCES = 3
commands = group("Accounts that act as no others do: list, hold, release, held.")

Accounts = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of accounts.")]
HoldReason = Annotated[str, typer.Option("--reason", help="For the audit trail.")]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="suspects")


@commands.command("list")
def list_(
    app: AppName,
    days: Annotated[
        int | None, typer.Option("--days", min=1, help="How far back.", show_default="as declared, else 28")
    ] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", help="Whose members are the accounts.", show_default="as declared")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="As if it were this time.", show_default="now")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    home: Home = None,
    json: Json = False,
) -> None:
    """List the accounts that act as no others do, and by what.

    Each is compared with accounts as active: bursts, kinds of events, the same targets as another account, at the same
    time too, rare targets, values unlike the others', and groups that act on one target in one week. At most one in
    twenty is listed by chance, counting all accounts and tests; fewer than 100 accounts are not tested.
    """
    from flyball.monitoring import suspects_of
    from flyball.operations import catch_up
    from flyball.registry import holds_at

    runtime = open_home(app, home)
    catch_up(runtime)
    until_us = now_in(runtime) if until is None else parse_timestamp(until)
    name, suspects = suspects_of(runtime, until_us, days=days, entity=entity)
    holds = holds_at(runtime.registry, name)
    if json:
        show_json({"entity": name, "held": list(holds.values()), **_plain(suspects)})
        return
    say(
        f"{counted_units(suspects.accounts, name)} with {suspects.events:,} events, {suspects.tested:,} tested; "
        f"{len(suspects.suspects):,} suspects, {len(holds):,} held before"
    )
    if suspects.accounts and not suspects.tested:
        period = f"{days or runtime.app.suspects.days} days"
        say(f"not tested: fewer than 100 have five events or more in {period}; a longer one is set by --days")
    if suspects.suspects:
        rows = [
            [suspect.account, f"{suspect.events:,}", f"{suspect.p:.1g}", "; ".join(_first_sentences(suspect.evidence))]
            for suspect in suspects.suspects[:limit]
        ]
        show_table([name, "events", "p", "why"], rows, right=["events", "p"])
    if len(suspects.suspects) > limit:
        say(f"and {len(suspects.suspects) - limit:,} more, see --limit")


@commands.command("hold")
def hold_(
    app: AppName,
    accounts: Accounts,
    by: By,
    share: Annotated[
        float, typer.Option("--share", help="Of their events that counts in training: 0 for none, below 1.")
    ] = 0.0,
    reason: HoldReason = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Leave accounts out of training from the next flyball learn on.

    What they do stays in the log, their own answers do not change, and features and lists of fresh events that serving
    keeps still count it. The audit trail records who held them and why.
    """
    from flyball.registry import hold_accounts

    runtime = open_home(app, home)
    entity = _entity(runtime)
    shares = dict.fromkeys(accounts, share)
    hold_accounts(runtime.registry, entity, shares, by=by, reason=reason, at_us=runtime.clock.now_us())
    if json:
        show_json({"entity": entity, "held": shares})
    else:
        say(
            f"holds {counted_units(len(shares), entity)}: the next flyball learn {with_home(app, home)} leaves them out"
        )


@commands.command("release")
def release_(
    app: AppName, accounts: Accounts, by: By, reason: HoldReason = "by hand", home: Home = None, json: Json = False
) -> None:
    """Let held accounts count in full again, from the next flyball learn on."""
    from flyball.registry import release_accounts

    runtime = open_home(app, home)
    entity = _entity(runtime)
    names = list(dict.fromkeys(accounts))
    release_accounts(runtime.registry, entity, names, by=by, reason=reason, at_us=runtime.clock.now_us())
    if json:
        show_json({"entity": entity, "released": names})
    else:
        named = with_home(app, home)
        say(f"released {counted_units(len(names), entity)}: they count in full from the next flyball learn {named} on")


@commands.command("held")
def list_held(
    app: AppName,
    version: Annotated[
        str | None, typer.Option("--version", help="Those that this version was learned without, such as v7.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="Those held at this time.", show_default="now")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """List the accounts that are held, or those that a version was learned without."""
    from flyball.registry import holds_at

    runtime = open_home(app, home)
    if version is not None:
        if at is not None:
            raise BadInput("--at", "given without --version", at)
        from flyball.history import load_snapshot

        learned = runtime.registry.version(version)
        left_out = load_snapshot(runtime.history_files, runtime.schema, learned.snapshot).left_out
        if json:
            show_json({"version": learned.id, "entity": left_out.entity, "shares": left_out.shares})
            return
        say(f"{learned.id} was learned without {counted_units(len(left_out.shares), left_out.entity or 'account')}")
        if left_out.shares:
            show_table([left_out.entity, "counts"], [[name, f"{share:.0%}"] for name, share in left_out.shares.items()])
        return
    entity = _entity(runtime)
    holds = holds_at(runtime.registry, entity, None if at is None else parse_timestamp(at))
    if json:
        show_json({"entity": entity, "held": list(holds.values())})
        return
    if not holds:
        say(f"no {entity} is held")
        return
    rows = [
        [hold.account, f"{hold.share:.0%}", format_second(hold.at_us), hold.by, hold.reason] for hold in holds.values()
    ]
    show_table([entity, "counts", "since", "by", "reason"], rows, right=["counts"])


def _entity(runtime: "Runtime") -> str:
    """Whose members the accounts are."""
    from flyball.monitoring import account_entity

    return account_entity(runtime.app.task.about, runtime.app.suspects.entity)


def _plain(suspects: "Suspects") -> dict[str, object]:
    names = ("accounts", "tested", "events", "false_share", "p", "suspects")
    return {name: getattr(suspects, name) for name in names}


def _first_sentences(evidence: tuple[str, ...]) -> tuple[str, ...]:
    """The first sentences, and the last one, which is on a group."""
    return evidence if len(evidence) <= _SENTENCES else (*evidence[: _SENTENCES - 1], evidence[-1])
