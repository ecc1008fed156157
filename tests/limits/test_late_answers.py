"""All processes of a machine know when answers were last late."""

from pathlib import Path

from flyball.limits import LateAnswers


def test_a_note_is_seen_by_others_for_as_long_as_they_say(tmp_path: Path) -> None:
    path = tmp_path / "run" / "late.moment"
    writer, reader = LateAnswers(path), LateAnswers(path)
    assert not reader.were_within(10.0, 5.0)
    assert not path.exists()
    writer.note(100.0)
    assert [reader.were_within(0.25, now_s) for now_s in (100.0, 100.2, 100.3)] == [True, True, False]
    writer.note(200.0)
    assert reader.were_within(0.25, 200.1)


def test_a_note_from_before_the_machine_started_is_none(tmp_path: Path) -> None:
    late = LateAnswers(tmp_path / "late.moment")
    late.note(10_000.0)
    assert not late.were_within(0.25, 3.0)
