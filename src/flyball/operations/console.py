"""The output of `flyball up`: a live panel on a terminal, plain lines elsewhere."""

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flyball.core import format_duration, format_second, printable, printable_line
from flyball.events import lag_text
from flyball.operations.heartbeat import Heartbeat, Rates, rates
from flyball.operations.supervisor import Notice

SUMMARY_US, LATE_US = 10_000_000, 1_000_000
_KEPT_LINES = 8


class Display(Protocol):
    """The display of a running instance."""

    def open(self, name: str, url: str, call: str) -> AbstractContextManager[None]:
        """A context in which the application `name` is shown as running at `url`, with a first `call` to try."""
        ...

    def notify(self, notice: Notice) -> None: ...

    def log(self, name: str, line: str) -> None: ...

    def show(self, heartbeat: Heartbeat) -> None: ...


class Lines:
    """Plain lines: notices, and a summary every ten seconds."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._before: Heartbeat | None = None

    @contextmanager
    def open(self, name: str, url: str, call: str) -> Iterator[None]:
        self._print(f"flyball up {name} on {url}, stop with Ctrl-C\ntry {call}")
        yield

    def notify(self, notice: Notice) -> None:
        self._print(f"{format_second(notice.at_us)} {notice.name}: {printable_line(notice.words)}")

    def log(self, name: str, line: str) -> None:
        """Show a line of a child's log, which in a container can be seen nowhere else."""
        self._print(f"[{name}] {printable_line(line)}")

    def show(self, heartbeat: Heartbeat) -> None:
        if self._before is None or heartbeat.at_us < self._before.at_us:
            self._before = heartbeat
        elif heartbeat.at_us - self._before.at_us >= SUMMARY_US:
            self._print(f"{format_second(heartbeat.at_us)} {summary(heartbeat, rates(self._before, heartbeat))}")
            self._before = heartbeat

    def _print(self, line: str) -> None:
        print(printable(line), file=self._output, flush=True)


class Panel:
    """A panel that is redrawn twice a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notices: deque[Notice] = deque(maxlen=_KEPT_LINES)
        self._pulses: deque[Heartbeat] = deque(maxlen=11)
        self._live: Live | None = None
        self._title = ""

    @contextmanager
    def open(self, name: str, url: str, call: str) -> Iterator[None]:
        self._title = f"flyball up {name}   {url}   stop with Ctrl-C\ntry {call}"
        with Live(Text(self._title, style="bold"), console=self._console, auto_refresh=False, transient=False) as live:
            self._live = live
            yield
        self._live = None

    def notify(self, notice: Notice) -> None:
        self._notices.append(notice)
        self._draw()

    def log(self, name: str, line: str) -> None:
        """Does nothing: the lines are in `run/logs`."""

    def show(self, heartbeat: Heartbeat) -> None:
        self._pulses.append(heartbeat)
        self._draw()

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        parts: list[RenderableType] = [Text(self._title, style="bold")]
        if self._pulses:
            first, last = self._pulses[0], self._pulses[-1]
            if last.at_us > first.at_us:
                parts += [Text(), Text(printable(summary(last, rates(first, last))))]
            parts += [Text(), _process_table(last), Text(), _consumer_table(last)]
        if self._notices:
            parts += [
                Text(),
                *(
                    Text(f"{format_second(notice.at_us)} {notice.name}: {printable_line(notice.words)}", style="dim")
                    for notice in self._notices
                ),
            ]
        return Group(*parts)


def summary(heartbeat: Heartbeat, now: Rates) -> str:
    """The ten-second line."""
    levels = ", ".join(f"{level} {count:,}" for level, count in sorted(now.levels.items())) or "no answers"
    p99 = "–" if now.p99_ms is None else f"{now.p99_ms:.1f} ms"
    return (
        f"{now.answers_s:,.0f} answers/s, p99 {p99}, {levels}; {now.events_s:,.0f} events/s, "
        f"lag {_lag_words(heartbeat)}; champion {heartbeat.champion or 'none yet'}{_learning(heartbeat)}"
    )


def _lag_words(heartbeat: Heartbeat) -> str:
    late = [f"{name} {lag.lag_us / 1e6:.0f} s" for name, lag in heartbeat.lags.items() if lag.lag_us >= LATE_US]
    return ", ".join(list(heartbeat.troubles.values()) or late) or ("under 1 s" if heartbeat.lags else "unknown")


def _learning(heartbeat: Heartbeat) -> str:
    governor = heartbeat.governor
    if governor is None:
        return ""
    if governor.doing == "learning":
        return ", learning"
    if governor.next_us is None:
        return ""
    return f", learns next {format_second(governor.next_us)}"


def _process_table(heartbeat: Heartbeat) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("process", "state", "pid", "since", "restarts"):
        table.add_column(column)
    for child in heartbeat.up.children:
        since = format_duration(max(0, heartbeat.at_us - child.since_us) // 1_000_000 * 1_000_000)
        table.add_row(child.name, child.state, str(child.pid or "–"), since, str(child.restarts))
    return table


def _consumer_table(heartbeat: Heartbeat) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("consumer", "standing", "applied"):
        table.add_column(column)
    for name, lag in heartbeat.lags.items():
        table.add_row(name, lag_text(lag), f"{heartbeat.applied.get(name, 0):,}")
    return table
