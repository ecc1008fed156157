"""The lag of the log's consumers, as the log worker reports it in a file."""

from pathlib import Path

import msgspec

from flyball.core import format_duration

SILENT_US = 10_000_000
"""A report older than this means that the worker is dead or stuck."""

STUCK_US = 60_000_000
"""A consumer that is behind and has not moved for this long is stuck."""


class ConsumerLag(msgspec.Struct, frozen=True):
    """The lag of one consumer.

    `behind`: records not applied yet, -1 when unknown. `lag_us`: the time since the oldest of them was first seen in
    its stream. `still_us`: how long it has been behind without progress. `error`: of the last attempt, "" when that
    succeeded; `failing_since_us`: the time of the first failed attempt since the last success. `partitions`: records
    not applied yet by partition, of a stream of several; () while there are none.
    """

    behind: int
    lag_us: int
    error: str = ""
    failing_since_us: int | None = None
    still_us: int = 0
    partitions: tuple[int, ...] = ()


class WorkerReport(msgspec.Struct, frozen=True):
    """The status of the log worker. `applied`: records by consumer since it started."""

    at_us: int
    applied: dict[str, int]
    lags: dict[str, ConsumerLag]


def read_worker_report(path: Path) -> WorkerReport | None:
    """The report in a file, None when there is none or another release of Flyball wrote it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorkerReport)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def lag_text(lag: ConsumerLag) -> str:
    """A lag as text for people."""
    if lag.error:
        return f"stopped: {lag.error}"
    if lag.behind == 0:
        return "up to date"
    return f"{lag.behind:,} behind, {_seconds(lag.lag_us)}"


def consumer_troubles(report: WorkerReport | None, now_us: int) -> dict[str, str]:
    """{consumer: problem and its duration} of consumers that fail or are stuck; the key "" stands for the worker
    itself.

    Empty without a report, since no worker runs.
    """
    if report is None:
        return {}
    silent_us = now_us - report.at_us
    if silent_us > SILENT_US:
        return {"": f"the log worker has been silent for {_seconds(silent_us)}: see its log, run/logs/worker.log"}
    troubles = {}
    for name, lag in report.lags.items():
        if lag.error:
            since_us = report.at_us if lag.failing_since_us is None else lag.failing_since_us
            failing = _seconds(max(0, now_us - since_us))
            troubles[name] = f"consumer {name} has been failing for {failing}: {lag.error}"
        elif lag.still_us >= STUCK_US:
            troubles[name] = (
                f"consumer {name} has not moved for {_seconds(lag.still_us)}, {lag.behind:,} records behind"
            )
    return troubles


def _seconds(duration_us: int) -> str:
    return format_duration(duration_us // 1_000_000 * 1_000_000)
