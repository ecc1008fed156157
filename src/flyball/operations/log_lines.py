"""Log lines as JSON objects, a line each, for what collects the logs of containers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import msgspec

from flyball.core import Clock, format_timestamp, printable, printable_line
from flyball.operations.console import SUMMARY_US
from flyball.operations.heartbeat import Heartbeat, rates
from flyball.operations.supervisor import Notice

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class TextFormatter(logging.Formatter):
    """A record as a line; what is in its message cannot begin another line, nor change how one is shown."""

    def format(self, record: logging.LogRecord) -> str:
        safe = logging.makeLogRecord({**vars(record), "msg": printable_line(record.getMessage()), "args": ()})
        return printable(super().format(safe))


class JsonFormatter(logging.Formatter):
    """A record as {"time", "level", "logger", "message"}, and "exception" with its traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": format_timestamp(round(record.created * 1_000_000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return printable(msgspec.json.encode(line).decode())


def start_logging(log_format: str) -> None:
    """Let this process write its log to standard error in the format of that name."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter(_TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class ObjectLines:
    """The display of a running instance as JSON lines: {"time", "level", "process", "message"} and what a line of a
    child's log has beside."""

    def __init__(self, output: TextIO, clock: Clock) -> None:
        self._output, self._clock = output, clock
        self._before: Heartbeat | None = None

    @contextmanager
    def open(self, name: str, url: str, call: str) -> Iterator[None]:
        self._print("flyball", f"up {name} on {url}", url=url)
        yield

    def notify(self, notice: Notice) -> None:
        self._print(notice.name, notice.words, notice.at_us)

    def log(self, name: str, line: str) -> None:
        """Show a line of a child's log: the object that it is, or one around what a library printed."""
        fields = _object_in(line)
        if fields is None:
            self._print(name, line)
        else:
            self._write({**fields, "process": name})

    def show(self, heartbeat: Heartbeat) -> None:
        """Every ten seconds, the metrics that the plain display has in its summary."""
        if self._before is None or heartbeat.at_us < self._before.at_us:
            self._before = heartbeat
        elif heartbeat.at_us - self._before.at_us >= SUMMARY_US:
            now = rates(self._before, heartbeat)
            self._print(
                "flyball",
                "summary",
                heartbeat.at_us,
                answers_s=round(now.answers_s, 1),
                events_s=round(now.events_s, 1),
                p99_ms=None if now.p99_ms is None else round(now.p99_ms, 2),
                levels=now.levels,
                lag_s={name: lag.lag_us / 1e6 for name, lag in heartbeat.lags.items()},
                champion=heartbeat.champion,
            )
            self._before = heartbeat

    def _print(self, process: str, message: str, at_us: int | None = None, **fields: Any) -> None:
        time = format_timestamp(self._clock.now_us() if at_us is None else at_us)
        self._write({"time": time, "level": "INFO", "process": process, "message": message, **fields})

    def _write(self, fields: dict[str, Any]) -> None:
        print(printable(msgspec.json.encode(fields).decode()), file=self._output, flush=True)


def message_in(line: str) -> str:
    """The words of a line of a log in either format."""
    fields = _object_in(line)
    return line if fields is None else f"{fields.get('level', '')} {fields.get('message', '')}".strip()


def _object_in(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        return msgspec.json.decode(line.encode(), type=dict[str, Any])
    except msgspec.DecodeError:
        return None
