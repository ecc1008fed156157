"""A comparison stays a table in a terminal of 80 columns: the metric that decides, the winner and the verdict stay."""

import os

import pytest

from flyball.cli import learning, show
from flyball.learning import CandidateReport, LearnReport

METRICS = ("ips_ndcg@20", "ndcg@20", "recall@20", "hit_rate@20", "coverage@20")


def report() -> LearnReport:
    estimate = {"value": 0.1234, "low": 0.1, "high": 0.15}
    candidates = [
        CandidateReport(
            name=name,
            role="candidate",
            outcome="passed",
            version=f"v{nth}",
            metrics=dict.fromkeys(METRICS, estimate),
            cost={"answer_us": 50.0, "train_s": 1.0},
        )
        for nth, name in enumerate(["popular", "item_knn", "implicit_als"])
    ]
    return LearnReport(
        run="r1",
        app="shop",
        status="done",
        as_of_us=0,
        seed=0,
        metric="ndcg@20",
        decided_by="ips_ndcg@20",
        shown=list(METRICS[1:]),
        candidates=candidates,
        chosen="v1",
    )


def lines_at(width: int, wide: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setattr(show.shutil, "get_terminal_size", lambda: os.terminal_size((width, 24)))
    monkeypatch.setattr(show.sys.stdout, "isatty", lambda: True, raising=False)
    learning._show_candidates(report(), wide)
    return capsys.readouterr().out.splitlines()


def test_at_80_columns_a_row_each_with_what_decides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_at(80, False, monkeypatch, capsys)
    assert max(len(line) for line in lines) <= 80
    assert lines[0].split()[:3] == ["candidate", "ndcg@20", "(IPS)"]
    assert "verdict" in lines[0]
    assert [line.split()[0] for line in lines[1:4]] == ["popular", "item_knn", "implicit_als"]
    assert "item_knn *" in lines[2]
    assert lines[2].endswith("winner")
    assert lines[4].startswith("(no room for ")
    assert "train s" in lines[4]


@pytest.mark.parametrize(("width", "wide"), [(200, False), (80, True)])
def test_with_room_or_wide_every_column_is_there(
    width: int, wide: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_at(width, wide, monkeypatch, capsys)
    for name in ("ndcg@20 (IPS)", "recall@20", "coverage@20", "latency us", "train s", "version", "verdict"):
        assert name in lines[0]
    assert len(lines) == 4


def test_the_numbers_of_the_table_are_those_of_the_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both have four digits: what the reason cites can be found in the table."""
    assert "0.1234 ±0.0250" in lines_at(200, False, monkeypatch, capsys)[1]
