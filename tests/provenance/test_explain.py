"""Explanations: everything the answer came from, and what came after."""

import math
from pathlib import Path

import msgspec
import pytest

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.operations import Worker, consumers_of
from flyball.outcomes import prediction_record
from flyball.provenance import why
from flyball.runtime import Runtime, load_settings
from flyball.tasks import read_histories

from .conftest import APP, START_US, Cinema

SECOND_US = 1_000_000


@pytest.mark.parametrize("candidate", ["item_knn", "ease", "ials"])
def test_reasons_are_films_of_the_history_and_add_up(learned: Cinema, candidate: str) -> None:
    version = learned.champion(candidate)
    (answer,) = learned.answer(1)
    (history,), _ = read_histories(
        learned.runtime.state, learned.runtime.app.task.signals(learned.runtime.schema), ["1"]
    )
    learned.put("watch", user=1, film="f29", minute=50)
    learned.follow()
    found = why(learned.runtime, answer.id, reasons=1_000)
    assert found.version is not None
    assert found.version.id == version.id
    assert found.knowledge.startswith(f"{len(history.items):,} items of history")
    by_model = [film for film in found.items if film.source == "model"]
    assert by_model
    for film in by_model:
        assert {each.name for each in film.because} <= set(history.items)
        raising = sum(each.value for each in film.because)
        assert raising >= film.score or math.isclose(raising, film.score, rel_tol=1e-3)


def test_the_text_names_version_code_snapshot_and_films(learned: Cinema) -> None:
    version = learned.champion("item_knn")
    (answer,) = learned.answer(1)
    text = why(learned.runtime, answer.id).text()
    for word in (answer.id, "user 1", version.id, "item_knn", version.snapshot, version.code_commit, "because of f"):
        assert word in text
    assert all(item in text for item in answer.items)
    assert "the log holds no event of user 1 after it" in text


def test_what_the_user_did_next(learned: Cinema) -> None:
    learned.champion("item_knn")
    (answer,) = learned.answer(1)
    learned.clock.advance_us(65 * SECOND_US)
    for minute in (30, 31, 32):
        learned.put("watch", user=1, film=answer.items[2], minute=minute)
    learned.put("rate", user=1, film=answer.items[2], stars=5)
    learned.put("watch", user=2, film=answer.items[3], minute=1)
    learned.put("watch", user=1, film="f0", minute=2)
    learned.follow()
    found = why(learned.runtime, answer.id)
    (followed,) = [one for one in found.followed if one.item == answer.items[2]]
    assert followed.position == 2
    assert followed.labels == {"adopted": 1.0, "weak_positive": 1.0, "positive": 1.0, "rating": 5.0}
    assert followed.events == {"watch": 3, "rate": 1}
    assert [(one.type, one.count) for one in found.next] == [("watch", 3), ("rate", 1), ("watch", 1)]
    text = found.text()
    assert f"{answer.items[2]} (rank 3) after 1m5s: 1 rate, 3 watch, adopted, positive, rating 5, weak_positive" in text
    assert "(3 times)" in text


def test_fallbacks_are_explained_as_such(learned: Cinema) -> None:
    learned.champion("item_knn")
    serving = learned.serving()
    (answer,) = learned.answer(1, serving=msgspec.structs.replace(serving, pipelines={}))
    found = why(learned.runtime, answer.id)
    assert "level precomputed" in found.text()
    assert not any(film.because for film in found.items)
    bare = msgspec.structs.replace(answer, id=answer.id[:-1] + ("0" if answer.id[-1] != "0" else "1"), offsets=())
    learned.runtime.predictions.append([prediction_record(bare)])
    assert "no state was read" in why(learned.runtime, bare.id).text()


def test_the_version_that_should_have_answered_is_named(learned: Cinema) -> None:
    learned.champion("item_knn")
    (answer,) = learned.answer(2)
    assert "did not answer" not in why(learned.runtime, answer.id).text()
    late_id = answer.id[:-1] + ("0" if answer.id[-1] != "0" else "1")
    late = msgspec.structs.replace(answer, id=late_id, level="previous", assigned="v7", failed="late")
    learned.runtime.predictions.append([prediction_record(late)])
    stamp = f"level previous, arm champion with probability 1, version {answer.version}, since v7 did not answer (late)"
    assert stamp in why(learned.runtime, late_id).text().splitlines()


def test_a_model_that_gives_no_reasons_says_so(learned: Cinema) -> None:
    learned.champion("popular")
    (answer,) = learned.answer(1)
    assert any("gives no reasons" in note for note in why(learned.runtime, answer.id).notes)


class Titled(Cinema):
    """The cinema with films that have a title."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        file = folder / "titled.py"
        file.write_text(APP.replace('half: str = ""', 'half: str = ""\n    title: str = ""'))
        self.clock = ManualClock(START_US)
        self.runtime = Runtime(load_app(str(file)), load_settings(folder / "titled"), self.clock)
        self.worker = Worker(consumers_of(self.runtime))


def test_items_have_the_titles_their_profiles_had(tmp_path: Path) -> None:
    cinema = Titled(tmp_path)
    cinema.fill()
    for film in range(30):
        cinema.put("card", film=f"f{film}", half=str(film % 2), title=f"The {film}th")
    cinema.follow()
    (answer,) = cinema.answer(1)
    cinema.clock.advance_us(SECOND_US)
    for film in range(30):
        cinema.put("card", film=f"f{film}", half=str(film % 2), title="Renamed")
    cinema.follow()
    found = why(cinema.runtime, answer.id)
    assert [item.item for item in found.items] == answer.items
    assert [item.title for item in found.items] == [f"The {item[1:]}th" for item in answer.items]
    assert f"{answer.items[0]}  The {answer.items[0][1:]}th" in found.text()
    assert "Renamed" not in found.text()
