"""Log lines as JSON: an object a line, whatever a process prints."""

import io
import json
import logging
import sys
from typing import Any

import pytest

from flyball.core import ManualClock
from flyball.operations import Notice, ObjectLines
from flyball.operations.log_lines import JsonFormatter, TextFormatter, message_in, start_logging


def printed(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_record_is_an_object_with_its_exception() -> None:
    try:
        raise ValueError("no\nsuch thing")
    except ValueError:
        record = logging.LogRecord("flyball.x", logging.ERROR, "x.py", 1, "at %s\nnow", ("work",), sys.exc_info())
    record.created = 1.5
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert line["time"] == "1970-01-01T00:00:01.500000Z"
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "flyball.x", "at work\nnow")
    assert "ValueError: no\nsuch thing" in line["exception"]


def test_a_message_cannot_forge_a_line_or_change_a_terminal() -> None:
    hostile = "u1\nERROR flyball: forged \x1b[2J \u202e"
    record = logging.LogRecord("flyball.x", logging.WARNING, "x.py", 1, "no user %s", (hostile,), None)
    shown = TextFormatter("%(levelname)s %(message)s").format(record)
    assert shown == "WARNING no user u1\\nERROR flyball: forged \\u001b[2J \\u202e"
    assert record.args == (hostile,), "other handlers get it as it was"
    text = JsonFormatter().format(record)
    assert "\u202e" not in text
    assert json.loads(text)["message"] == f"no user {hostile}"
    try:
        raise ValueError("no\nsuch \x1b thing")
    except ValueError:
        record.exc_info = sys.exc_info()
    lines = TextFormatter("%(message)s").format(record).splitlines()
    assert lines[1].startswith("Traceback"), "a traceback stays one"
    assert lines[-1] == "such \\u001b thing"


def test_lines_of_children_keep_their_fields_and_others_get_an_object_around_them() -> None:
    output = io.StringIO()
    display = ObjectLines(output, ManualClock(2_000_000))
    with display.open("shop", "http://127.0.0.1:1", "curl"):
        display.notify(Notice(1_000_000, "serve-1", "started"))
        display.log("worker", '{"time":"t","level":"ERROR","message":"late","trace":"4f"}')
        display.log("worker", "Segmentation fault")
        display.log("worker", "{not json}")
    began, notice, own, raw, odd = printed(output)
    assert (began["process"], began["url"]) == ("flyball", "http://127.0.0.1:1")
    assert notice == {"time": "1970-01-01T00:00:01Z", "level": "INFO", "process": "serve-1", "message": "started"}
    assert own == {"time": "t", "level": "ERROR", "message": "late", "trace": "4f", "process": "worker"}
    assert (raw["message"], raw["process"], odd["message"]) == ("Segmentation fault", "worker", "{not json}")


@pytest.mark.parametrize(("log_format", "is_json"), [("json", True), ("text", False)])
def test_a_process_logs_in_the_format_of_the_settings(
    log_format: str, is_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.WARNING)
    start_logging(log_format)
    logging.getLogger("flyball.worker").info("at %s", "work")
    line = capsys.readouterr().err.strip()
    assert line.startswith("{") is is_json
    assert message_in(line).endswith("INFO at work" if is_json else "INFO flyball.worker: at work")
