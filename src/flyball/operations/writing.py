"""Who writes to the stores that machines share: the log worker and commands beside it, by the token of a lease."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from flyball.core import FileLock, HomeBusy, Refused, Stopwatch, SystemStopwatch
from flyball.operations.consumers import consumers_of
from flyball.operations.leadership import ONLINE, OTHERS, LeaseRenewer, holder_name, keeping, worker_leases
from flyball.operations.partition_shares import ShareRenewer, partitions_in, renewers_of, tokens_of
from flyball.operations.process_specs import CATCHING_UP, run_folder
from flyball.operations.worker import Worker
from flyball.registry import WHOLE_LOG, lease_standings
from flyball.runtime import Runtime
from flyball.stores import claim

_TRY_AGAIN_S = 0.1


def claim_stores(runtime: Runtime, tokens: Mapping[str, int]) -> None:
    """Write to the online stores with the token of their lease; raises `LeaseLost` for an old one.

    The tables of outcomes take theirs from `consumers_of`. The history needs none: its manifest is replaced only where
    it is the one that was read.
    """
    for partition, token in partitions_in(tokens, len(runtime.log.ends())).items():
        claim(runtime.state, token, partition)
    if ONLINE in tokens:
        claim(runtime.state, tokens[ONLINE])
        if runtime.app.task.about.feature_groups:
            claim(runtime.feature_state, tokens[ONLINE])


def catch_up(runtime: Runtime, report_progress: Callable[[str], object] | None = None) -> int:
    """Apply the log to state, history and outcomes; returns the number of records applied.

    Does nothing while a log worker runs, since that does the same. `report_progress` is called with a line
    from time to time: after a change of the declaration the whole log is applied again, which may take minutes.
    """
    try:
        with FileLock(run_folder(runtime.home) / "worker.lock", CATCHING_UP), holding_leases(runtime) as tokens:
            if tokens is None:
                return 0
            claim_stores(runtime, tokens)
            worker, applied = Worker(consumers_of(runtime, flush_us=0, token=tokens.get(OTHERS, 0))), 0
            while not (report := worker.step(runtime.clock.now_us())).idle:
                applied += sum(report.applied.values())
                if report_progress is not None:
                    behind = max((lag.behind for lag in report.lags.values()), default=0)
                    report_progress(f"bringing the views up to the log: {behind:,} records to go")
            return applied
    except HomeBusy:
        return 0


@contextmanager
def writing_online(runtime: Runtime) -> Iterator[None]:
    """Write to the online stores meanwhile with the token of their lease, where machines share them.

    While the log worker of this home holds it, its token serves: a lock of files keeps both apart, and another machine
    that takes the lease over has a higher one. Raises `Refused` while another machine holds it, and the store raises
    `LeaseLost` when one takes it meanwhile.
    """
    if ONLINE not in worker_leases(runtime):
        yield
        return
    renewer = LeaseRenewer(runtime, ONLINE)
    renewer.step()
    if renewer.lease is None:
        claim_stores(runtime, {ONLINE: _token_of_this_home(runtime)})
        yield
        return
    with keeping([renewer]):
        claim_stores(runtime, {ONLINE: renewer.lease.token})
        yield


def _token_of_this_home(runtime: Runtime) -> int:
    """The token of the worker of this home."""
    for lease in lease_standings(runtime.registry):
        if lease.name == ONLINE and lease.left_us:
            if lease.holder.startswith(holder_name(runtime).removesuffix(str(os.getpid()))):
                return lease.token
            raise Refused(
                f"lease {ONLINE} must be free or of this home to write to the online stores, got one of "
                f"{lease.holder} for another {lease.left_us / 1e6:.1f} s: run it there, or end flyball up there"
            )
    raise Refused(f"lease {ONLINE} must be free or of this home, got one that was given back just now: try again")


@contextmanager
def holding_leases(
    runtime: Runtime, stopwatch: Stopwatch | None = None, within_s: float = 0.0
) -> Iterator[dict[str, int] | None]:
    """{lease: token} of all consumers meanwhile, nothing where machines share none; None while another holds one.

    `within_s`: asks the workers of all machines to give theirs back, and waits so long for it, by `stopwatch`.
    """
    renewers = renewers_of(runtime, everything=True)
    claims = [LeaseRenewer(runtime, WHOLE_LOG)] if within_s and renewers else []
    watch = stopwatch or SystemStopwatch()
    deadline_s = watch.read_s() + within_s
    for claim_renewer in claims:
        claim_renewer.step()
    with keeping(claims):
        while not _take_all(renewers) and watch.read_s() < deadline_s:
            threading.Event().wait(_TRY_AGAIN_S)
        with keeping(list(renewers.values())):
            yield tokens_of(renewers) if _take_all(renewers) else None


def _take_all(renewers: Mapping[str, LeaseRenewer]) -> bool:
    """Take those that are free; returns whether all are held."""
    for renewer in renewers.values():
        if not _is_complete(renewer):
            renewer.step()
    return all(map(_is_complete, renewers.values()))


def _is_complete(renewer: LeaseRenewer) -> bool:
    return renewer.complete if isinstance(renewer, ShareRenewer) else renewer.lease is not None
