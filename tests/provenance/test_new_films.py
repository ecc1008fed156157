"""Films that came after the version learned: listed by their attributes, explained, and replayed bit for bit."""

from pathlib import Path

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.operations import Worker, consumers_of
from flyball.provenance import replay, why
from flyball.runtime import Runtime, load_settings

from .conftest import APP, DAY_US, START_US, Cinema


class Multiplex(Cinema):
    """The cinema with a model that reads attributes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        file = folder / "multiplex.py"
        file.write_text(APP.replace("candidates={", 'candidates={"hybrid": fb.Hybrid(fb.ImplicitALS(factors=8)), '))
        self.clock = ManualClock(START_US)
        self.runtime = Runtime(load_app(str(file)), load_settings(folder / "home"), self.clock)
        self.worker = Worker(consumers_of(self.runtime))

    def premieres(self) -> None:
        """Three new films of each half."""
        self.clock.move_to_us(self.clock.now_us() + DAY_US)
        for number in range(6):
            self.put("card", film=f"new{number}", half=str(number % 2))
        self.follow()


def test_a_new_film_of_ones_half_is_listed_explained_and_replayed(tmp_path: Path) -> None:
    cinema = Multiplex(tmp_path)
    cinema.fill()
    cinema.learn()
    cinema.champion("hybrid")
    before = cinema.serving()
    (unaware,) = cinema.answer(1, serving=before)
    cinema.premieres()
    answers = cinema.answer(1, 2, 5, 10)
    for answer in answers:
        placed = [film for film, source in zip(answer.items, answer.sources, strict=True) if source == "model"]
        own = int(int(answer.key) % 5 == 0)
        new = [film for film in placed if film.startswith("new")]
        assert len(new) >= 2
        assert {int(film[-1]) % 2 for film in new} == {own}
        message = {film.item: film for film in why(cinema.runtime, answer.id).items}
        for film in new:
            assert message[film].because, "a new film's reasons are the films the user watched"
            assert {int(each.name[1:]) % 2 for each in message[film].because} == {own}
    for user in (1, 2, 5, 10):  # a like of a new film counts before anything learns again
        cinema.put("watch", user=user, film=f"new{int(user % 5 == 0)}", minute=50)
    cinema.follow()
    (after,) = cinema.answer(1)
    assert "new0" not in after.items
    assert any("new0" in {each.name for each in film.because} for film in why(cinema.runtime, after.id).items)
    cinema.put("card", film="new4", half="1")
    cinema.put("card", film="later", half="0")
    cinema.follow()
    for answer in (unaware, *answers, after):
        found = replay(cinema.runtime, answer.id)
        assert found.identical, found.text()
