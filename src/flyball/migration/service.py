"""The service that runs on a home which is moved: that it uses the stores that are copied, and can use the new ones."""

import os
from collections.abc import Callable
from pathlib import Path

from flyball.core import Refused, Stopwatch
from flyball.migration.parts import is_same_store
from flyball.operations import StoreReach, UpReport, ask_reach, running, store_urls
from flyball.registry import lease_standings
from flyball.runtime import Runtime

ANSWER_S = 60.0
"""How long the running instance may take to look at the new stores."""


def check_stores(source: Runtime) -> None:
    """Raise `Refused` where `flyball up` on the home uses other stores than those that would be copied, which its
    environment or its options may name."""
    report = running(source)
    if report is None or not report.stores:
        return
    for name, url in store_urls(source).items():
        used = report.stores.get(name, url)
        if not is_same_store(used, url):
            raise Refused(
                f"{name} of flyball up (process {report.pid}) must be the store that is copied, {url}, got {used}: "
                f"write the URLs of the home into {source.layout.settings}, not into the environment or options of "
                "flyball up, and start that again"
            )


def check_service(source: Runtime, target: Runtime, stopwatch: Stopwatch, on_step: Callable[[str], object]) -> None:
    """Raise `Refused` where the service on `source` could not continue with the stores of `target`."""
    _check_alone(source)
    report = running(source)
    if report is None:
        return
    on_step("asking flyball up whether it can use the new stores")
    id = f"{os.getpid()} at {source.clock.now_us()}"
    reach = ask_reach(source, target.home, id, stopwatch, ANSWER_S)
    if reach is None:
        raise Refused(
            f"flyball up (process {report.pid}) must say within {ANSWER_S:g} s that it can use the stores of "
            f"{target.home}, got no answer: start it again, as it may be of another release, and run the command again"
        )
    _check_reach(report, reach, target)


def _check_reach(report: UpReport, reach: StoreReach, target: Runtime) -> None:
    for name, trouble in reach.troubles.items():
        raise Refused(
            f"flyball up (process {report.pid}) must be able to use {name} of {target.home}, got: {trouble}. What it "
            "needs must be in its own environment: start it again with it, then run the command again"
        )
    for name, url in store_urls(target).items():
        if reach.stores.get(name) != url:
            raise Refused(
                f"flyball up (process {report.pid}) must read {name} of {target.home} as this command does, {url}, got "
                f"{reach.stores.get(name)}: {target.layout.settings} must be the same file for both"
            )


def _check_alone(source: Runtime) -> None:
    """Raise `Refused` while other machines run the same application on these stores: they would not see the switch."""
    others = sorted(
        {
            holder
            for lease in lease_standings(source.registry)
            if lease.left_us and Path((holder := lease.holder.rpartition(":")[0]).partition(":")[2]) != source.home
        }
    )
    if others:
        raise Refused(
            f"{source.home} must be the only home on its stores to be moved, got leases of {', '.join(others)}, which "
            "would write to the old stores: end flyball up there, and start it with the new settings after the switch"
        )
