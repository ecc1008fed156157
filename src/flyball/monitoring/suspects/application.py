"""The suspects of an application, and the monitor that looks for them once a day."""

from math import inf

from flyball.core import counted_units, find_zone
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.suspects.actions import account_entity, read_actions
from flyball.monitoring.suspects.find import Suspect, Suspects, find_suspects
from flyball.monitoring.watch.daily import ExtraMonitor, each_day
from flyball.monitoring.watch.suspected import Suspicions
from flyball.registry import hold_accounts, holds_at
from flyball.runtime import Runtime

_DAY_US = 86_400_000_000
_RARE = 1 / 3_000
"""A look finds something by chance with this probability at most, whatever it found on the days before: one look in
eight years of daily looks, beside the budget of all other monitors."""
_NAMED, _KEPT, _NOTHING = 3, 200, 0.5


def suspects_of(
    runtime: Runtime, until_us: int, *, days: int | None = None, entity: str | None = None
) -> tuple[str, Suspects]:
    """(the entity of the accounts, the suspects among those that acted in the days before `until_us`).

    Accounts that are held are left out, their events too: they are neither suspects nor what is usual. `days`,
    `entity`: by default as the application declares. Raises `BadInput` for an entity that the task does not have.
    """
    plan = runtime.app.suspects
    name = account_entity(runtime.app.task.about, entity or plan.entity)
    since_us, holds = until_us - (days or plan.days) * _DAY_US, holds_at(runtime.registry, name)
    return name, find_suspects(read_actions(runtime, name, since_us, until_us, holds), plan.false_share)


def suspects_monitor(runtime: Runtime) -> ExtraMonitor:
    """The monitor of suspects for a `Watcher`: of each day, once its last window ended; it holds them if declared."""
    zone = find_zone(runtime.settings.zone)

    def look(until_us: int, _: Suspicions) -> list[Observation]:
        entity, suspects = suspects_of(runtime, until_us)
        if suspects.tested == 0:
            return []
        seen = observe_suspects(entity, suspects)
        plan = runtime.app.suspects
        if seen.matters and plan.action != "report":
            shares = {suspect.account: plan.share for suspect in suspects.suspects}
            hold_accounts(runtime.registry, entity, shares, by="watch", reason=seen.message, at_us=until_us)
        return [seen]

    return each_day(zone, look)


def observe_suspects(entity: str, suspects: Suspects) -> Observation:
    """The observation of a look; it matters if suspects are odder than chance makes any in years of looks."""
    matters = bool(suspects.suspects) and suspects.p <= _RARE
    number = counted_units(len(suspects.suspects), f"suspect {entity}")
    named = ", ".join(suspect.account for suspect in suspects.suspects[:_NAMED])
    message = f"no {entity} acts as no others do"
    if suspects.suspects:
        more = " and others" if len(suspects.suspects) > _NAMED else ""
        message = f"{number} among {suspects.tested:,} ({named}{more}): {_first_words(suspects.suspects[0])}"
    evidence = {"suspects": [suspect.account for suspect in suspects.suspects[:_KEPT]], "p": suspects.p}
    return Observation(
        "suspects", f"accounts.{entity}", inf if matters else _NOTHING, matters, message, "high", "world", evidence
    )


def _first_words(suspect: Suspect) -> str:
    """The sentence on its oddest test and the one on its group."""
    return "; ".join(dict.fromkeys((suspect.evidence[0], suspect.evidence[-1]))) if suspect.evidence else "see the list"
