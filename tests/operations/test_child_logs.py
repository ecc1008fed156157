"""The logs of child processes reach whoever runs `flyball up` without a terminal."""

from pathlib import Path

from flyball.operations.child_logs import MOST_BYTES, ChildLogs
from flyball.operations.process_specs import log_path


def write(path: Path, data: bytes, mode: str = "ab") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, mode) as file:
        file.write(data)


def test_whole_lines_written_since_the_last_look_are_read_once(tmp_path: Path) -> None:
    serve = log_path(tmp_path, "serve-1")
    write(serve, b"of an instance before\n")
    logs = ChildLogs(tmp_path, ["serve-1", "worker"])
    assert list(logs.read()) == []
    write(serve, b"one\n\n  two\npart")
    write(log_path(tmp_path, "worker"), b"\xff broken\n")
    assert list(logs.read()) == [("serve-1", "one"), ("serve-1", "  two"), ("worker", "\ufffd broken")]
    write(serve, b" done\n")
    assert list(logs.read()) == [("serve-1", "part done")]
    assert list(logs.read()) == []


def test_a_log_begun_again_is_read_from_its_start(tmp_path: Path) -> None:
    serve = log_path(tmp_path, "serve-1")
    write(serve, b"long before\n" * 10)
    logs = ChildLogs(tmp_path, ["serve-1"])
    write(serve, b"new\n", "wb")
    assert list(logs.read()) == [("serve-1", "new")]


def test_a_flood_and_a_line_without_end_hold_nothing_up(tmp_path: Path) -> None:
    serve = log_path(tmp_path, "serve-1")
    logs = ChildLogs(tmp_path, ["serve-1"])
    write(serve, b"x" * (MOST_BYTES + 10) + b"\ny\n")
    lines = [line for _ in range(3) for _, line in logs.read()]
    assert lines == ["x" * MOST_BYTES, "x" * 10, "y"]
