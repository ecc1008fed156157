"""A declaration that changes while its home stays: every command reads past events rightly, or refuses to start."""

import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Run

HEAD = """
from typing import Annotated
import flyball as fb
User = Annotated[{user}, fb.Ref("user")]
Item = Annotated[str, fb.Ref("item"), fb.text(max_length=60)]
class Rate(fb.Event):
    user: User
    item: Item
"""
TAIL = """
user, item = fb.Entity("user"), fb.Entity("item")
app = fb.App("evo", events=[Rate],
    task=fb.Recommend(user, item, positive=fb.outcome(Rate, where=lambda r: r.{liked} >= 4), k=5),
    candidates={{"popular": fb.Popular(), "knn": fb.ItemKNN()}})
"""
STARS = "    stars: Annotated[int, fb.integer(0, 100)]\n"
SECONDS = "    seconds: Annotated[int, fb.integer(0, 100000)]\n"
EVENTS = "".join(
    f'{{"type":"rate","user":{n},"item":"x{n}","stars":5,"seconds":900,"at":"2026-11-2{n}"}}\n' for n in range(1, 4)
)


def declare(*fields: str, user: str = "int", liked: str = "seconds") -> None:
    sys.modules.pop("flyball_app_evo", None)  # as in another process
    Path("evo.py").write_text(HEAD.format(user=user) + "".join(fields) + TAIL.format(liked=liked))


@pytest.fixture
def evo(run: Run) -> Run:
    """An application with three events in its home."""
    declare(STARS, SECONDS)
    assert run("ingest", "evo.py", "-", stdin=EVENTS).code == 0
    return run


def rows(run: Run) -> list[str]:
    """What `export` writes of the events, without their time."""
    assert run("export", "evo.py", "rate", "--out", "rate.csv").code == 0
    return [line.partition(",")[2] for line in Path("rate.csv").read_text().splitlines()]


def test_fields_in_another_order_keep_their_values(evo: Run) -> None:
    before = rows(evo)
    assert before[:2] == ["user,item,stars,seconds", "1,x1,5,900"]
    declare(SECONDS, STARS)
    assert evo("check", "evo.py").code == 0
    assert rows(evo)[:2] == ["user,item,seconds,stars", "1,x1,900,5"]
    again = evo("ingest", "evo.py", "-", "--json", stdin=EVENTS)
    assert (again.last["duplicates"], again.last["accepted"]) == (3, {})
    assert evo("learn", "evo.py").err.count("Error") == 0


def test_added_removed_widened_and_renamed_fields_are_read_by_name(evo: Run) -> None:
    declare("    stars: float\n", SECONDS, "    device: str | None = None\n")
    assert rows(evo)[1] == "1,x1,5.0,900,"
    declare(SECONDS)
    assert rows(evo)[1] == "1,x1,900"
    declare(STARS, SECONDS.replace("seconds", "length").replace("]\n", ', fb.renamed("seconds")]\n'), liked="length")
    assert rows(evo)[:2] == ["user,item,stars,length", "1,x1,5,900"]
    later = EVENTS.replace("seconds", "length")
    assert evo("ingest", "evo.py", "-", "--json", stdin=later).last["duplicates"] == 3


REFUSED = {
    "inserted": (
        (["    device: str | None\n", STARS, SECONDS]),
        {},
        "Rate.device (str | None) is new and has no default",
    ),
    "renamed": (
        [STARS, SECONDS.replace("seconds", "length")],
        {"liked": "length"},
        "Rate.length (int (ge=0, le=100000)) is new and has no default",
    ),
    "another key": ([STARS, SECONDS], {"user": "str"}, "Rate.user must stay int, Ref('user'), got str, Ref('user')"),
    "narrowed": ([STARS, SECONDS.replace("100000", "800")], {}, "Rate.seconds must be int (ge=0, le=800), got 900"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(
    "command",
    [
        ["check"],
        ["ingest", "-"],
        ["learn"],
        ["up", "--port", "0"],
        ["export", "rate"],
        ["status"],
        ["recommend", "1"],
        ["versions", "list"],
        ["versions", "release", "r1-knn"],
        ["quarantine", "retry"],
        ["quarantine", "list"],
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_what_cannot_be_read_is_refused_before_anything_else(evo: Run, name: str, command: list[str]) -> None:
    fields, options, words = REFUSED[name]
    declare(*fields, **options)
    before = {path: path.read_bytes() for path in Path(".flyball").rglob("*.parquet")}
    group = 2 if command[0] in ("versions", "quarantine") else 1
    got = evo(*command[:group], "evo.py", *command[group:], stdin=EVENTS)
    assert (got.code, got.out) == (1, ""), got.out + got.err
    assert words in got.err
    assert "Traceback" not in got.err
    assert {path: path.read_bytes() for path in Path(".flyball").rglob("*.parquet")} == before
    declare(STARS, SECONDS)  # nothing was spoiled
    assert rows(evo)[1:] == ["1,x1,5,900", "2,x2,5,900", "3,x3,5,900"]


CARD = "class Card(fb.{base}):\n    item: Item\n    color: str = ''\n"
PAIR = 'Card = fb.joined("Card", Rate, Tag, by="item", within="1d")\n'
BASES = {  # {edit: (of the class Card, its kind then, now, what is said)}
    "profile to event": ("Profile", "Event", "Card must stay a class of fb.Profile, got fb.Event"),
    "event to profile": ("Event", "Profile", "Card must stay a class of fb.Event, got fb.Profile"),
    "event to joined": ("Event", "joined", "Card must not be joined, since the log holds events of that name"),
}


def declare_card(base: str) -> None:
    sys.modules.pop("flyball_app_evo", None)
    text = HEAD.format(user="int") + STARS + SECONDS + "class Tag(fb.Event):\n    item: Item\n"
    tail = TAIL.format(liked="seconds").replace("[Rate]", "[Rate, Tag]" if base == "Profile" else "[Rate, Tag, Card]")
    if base == "Profile":
        tail = tail.replace('fb.Entity("item")', 'fb.Entity("item", profile=Card)')
    Path("evo.py").write_text(text + (PAIR if base == "joined" else CARD.format(base=base)) + tail)


@pytest.mark.parametrize("edit", BASES)
def test_a_class_stays_an_event_or_a_profile_once_some_are_written(run: Run, edit: str) -> None:
    then, now, words = BASES[edit]
    declare_card(then)
    card = '{"type":"card","item":"x1","color":"red","at":"2026-11-20"}\n'
    assert run("ingest", "evo.py", "-", stdin=EVENTS + card).code == 0
    assert run("check", "evo.py").code == 0
    declare_card(now)
    got = run("check", "evo.py")
    assert (got.code, words in got.err) == (1, True), got.out + got.err
    assert run("ingest", "evo.py", "-", stdin=EVENTS).code == 1
    declare_card(then)
    assert run("check", "evo.py").code == 0


def test_check_says_it_as_json(evo: Run) -> None:
    declare(STARS, SECONDS.replace("seconds", "length"), liked="length")
    got = evo("check", "evo.py", "--json")
    assert (got.code, got.last["ok"], got.last["where"]) == (1, False, "events")
    assert 'fb.renamed("the old name")' in got.last["error"]


def test_check_makes_no_home(run: Run) -> None:
    declare(STARS, SECONDS)
    assert run("check", "evo.py").code == 0
    assert not Path(".flyball").exists()
