"""The time by which labels count as final: that of the latest event in the log, not that of the clock.

A label that does not hold is known from what did not happen. Where the log lags behind the clock, because events are
imported once a day or a source is down, what happened since is not known, so no label is final by the clock.
"""

from msgspec import Struct

from flyball.core import format_duration, format_second
from flyball.outcomes import first_response_us
from flyball.runtime import Runtime

LAGS_FROM_US = 3_600_000_000
"""How far the latest event may be behind the clock before it is said: an hour without events is nothing unusual."""
_DAY_US, _MINUTE_US = 86_400_000_000, 60_000_000


class LogTime(Struct, frozen=True):
    """The time of the latest event in the history, 0 without any, beside the clock's; microseconds since 1970."""

    latest_us: int
    now_us: int

    @property
    def as_of_us(self) -> int:
        """The time just behind the latest event: what is known, is known as of then."""
        return self.latest_us + 1

    @property
    def lags(self) -> bool:
        """Whether the log is so far behind the clock that it should be said."""
        return self.now_us - self.latest_us >= LAGS_FROM_US

    def text(self) -> str:
        """The time of the latest event, and whether it lags."""
        if not self.latest_us:
            return "the log holds no event"
        lags = ", which lags behind the clock" if self.lags else ""
        return f"the log's latest event is of {format_second(self.latest_us)}{lags}"


def log_time(runtime: Runtime) -> LogTime:
    """The time of the log, as far as the history holds it; in a home of `flyball simulate` it is the present time."""
    latest_us = runtime.history.latest_at_us()
    return LogTime(latest_us, latest_us if runtime.layout.simulated.exists() else runtime.clock.now_us())


def lag_text(runtime: Runtime) -> str:
    """That labels are counted by a log which lags behind the clock; "" where it does not."""
    time = log_time(runtime)
    return f"labels are final by the log, not by the clock: {time.text()}" if time.lags and time.latest_us else ""


def final_label_advice(runtime: Runtime, within_us: int, since_us: int, until_us: int, version: str = "") -> str:
    """What to do where no answer since `since_us` has a label that is final by `until_us`, which takes `within_us`.

    More days only help where there are older answers. `version`: as `first_response_us` has it.
    """
    time, first_us = log_time(runtime), first_response_us(runtime.outcomes_path, version)
    if first_us is None:
        return f"no answer{f' of {version}' if version else ''} is in the log yet"
    first, final_us = format_second(first_us), first_us + within_us
    if final_us > until_us:
        last = f"; {time.text()}" if until_us > time.latest_us else ""
        todo = "ingest the events since" if time.lags else f"look again in {_wait(final_us - until_us)}"
        return (
            f"the first answers are of {first}, and their labels final from {format_second(final_us)} on{last}: {todo}"
        )
    if first_us >= since_us:
        return f"of the answers since {first}, every label is censored, or prevented by the decision"
    days = -(-(until_us - within_us - first_us) // _DAY_US)
    return f"the first answers are of {first}: look at more days with --days {days}"


def window_advice(runtime: Runtime, end_us: int) -> str:
    """What to do where no answer was given in a window that ends at `end_us`."""
    time, first_us = log_time(runtime), first_response_us(runtime.outcomes_path)
    if first_us is None:
        return "no answer of a version is in the log yet"
    if first_us >= end_us:
        return f"the first answers are of {format_second(first_us)}, and {time.text()}: ingest the events since"
    return "look at a longer time with --last, or at an earlier one with --until"


def older_advice(runtime: Runtime, since_us: int) -> str:
    """What to do where no answer since `since_us` has a final label to compare with."""
    first_us = first_response_us(runtime.outcomes_path)
    if first_us is not None and first_us < since_us:
        return "compare with a longer time, by --before"
    return (
        "" if first_us is None else f"the first answers are of {format_second(first_us)}, so a longer time has no more"
    )


def _wait(duration_us: int) -> str:
    """Rounded up to minutes, so that it is short to read."""
    return format_duration(-(-duration_us // _MINUTE_US) * _MINUTE_US)
