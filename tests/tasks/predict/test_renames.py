"""Fields and classes that are renamed as declared change no answer of a version that was learned before."""

from pathlib import Path

import pytest
from tests.tasks.predict.edited import APP, NAMES, EditedHome, lines, requests

from flyball.core import Refused
from flyball.provenance import replay, why
from flyball.serving import learned_otherwise, outages

AMOUNT = "    amount: Annotated[float, fb.real(0, 100_000)]\n"
TOTAL = AMOUNT.replace("amount", "total").replace(")]", '), fb.renamed("amount")]')
EACH_AMOUNT = [
    (AMOUNT, TOTAL),
    ("p.amount", "p.total"),
    ("f.amount", "f.total"),
    ('"card.paid", "amount"', '"card.paid", "total"'),
]
SHOP = [("    shop: str\n", '    store: Annotated[str, fb.renamed("shop")]\n'), ('keys=("shop",)', 'keys=("store",)')]
KEY = [
    ("    payment: PaymentId\n    card", '    number: Annotated[PaymentId, fb.renamed("payment")]\n    card'),
    ("    payment: PaymentId\n    lost", '    number: Annotated[PaymentId, fb.renamed("payment")]\n    lost'),
]
CARD = [
    ("    card: Card\n    shop", '    plastic: Annotated[Card, fb.renamed("card")]\n    shop'),
    ('ignore=("card",)', 'ignore=("plastic",)'),
]
CLASS = [
    ("class Payment(fb.Event):\n", 'class Purchase(fb.Event):\n    former_names = ("Payment",)\n'),
    ("(Payment,", "(Purchase,"),
    ("[Payment,", "[Purchase,"),
    ("=Payment,", "=Purchase,"),
    (" Payment,", " Purchase,"),
]
OUTCOME = [
    ("class Chargeback(fb.Event):\n", 'class Dispute(fb.Event):\n    former_names = ("Chargeback",)\n'),
    ("Chargeback,", "Dispute,"),
]
LOST = [("    lost: float", '    gone: Annotated[float, fb.renamed("lost")]'), ("c.lost", "c.gone")]
PROFILE = [
    ("class CardFile(fb.Profile):\n", 'class CardSheet(fb.Profile):\n    former_names = ("CardFile",)\n'),
    ("profile=CardFile", "profile=CardSheet"),
    ("attribute(CardFile", "attribute(CardSheet"),
    ("    limit: float", '    most: Annotated[float, fb.renamed("limit")]'),
    ("c.limit", "c.most"),
]
RENAMES = {
    "field of columns, costs and features": (EACH_AMOUNT, {"amount": "total"}),
    "field that is a key of features": (SHOP, {"shop": "store"}),
    "key of the target": (KEY, {"payment": "number"}),
    "key of an entity": (CARD, {"card": "plastic"}),
    "class of requests": (CLASS, {}),
    "class of the other side": (OUTCOME, {}),
    "field of the target": (LOST, {}),
    "profile": (PROFILE, {}),
    "all": (
        [*EACH_AMOUNT, *KEY, *CARD, *SHOP, *CLASS, *OUTCOME, *LOST, *PROFILE],
        {"amount": "total", "shop": "store", "payment": "number", "card": "plastic"},
    ),
}


def edited(edits: list[tuple[str, str]]) -> str:
    text = APP
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> EditedHome:
    made = EditedHome.learned(tmp_path_factory.mktemp("learned"), APP, lines())
    made.first = made.answers(requests())  # type: ignore[attr-defined]
    assert {answer.level for answer in made.first} == {"champion"}  # type: ignore[attr-defined]
    assert len({answer.decision for answer in made.first}) > 1  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize("name", RENAMES)
def test_a_declared_rename_changes_no_answer(home: EditedHome, tmp_path: Path, name: str) -> None:
    edits, names = RENAMES[name]
    first = home.first  # type: ignore[attr-defined]
    later = home.copy(tmp_path, edited(edits))
    assert outages(later.runtime) == []
    assert learned_otherwise(later.runtime) == []
    undeclared_arrangement = later.answers(requests(NAMES | names))
    later.declare()
    second = later.answers(requests(NAMES | names))
    for before, between, after in zip(first, undeclared_arrangement, second, strict=True):
        for answer in (between, after):
            assert (answer.level, answer.version) == ("champion", before.version)
            assert (answer.values, answer.decision) == (before.values, before.decision)
            assert [read.feature_set for read in answer.reads] == [read.feature_set for read in before.reads]
        for answer in (before, between, after):
            again = replay(later.runtime, answer.id)
            assert again.identical, again.text()
    explained = why(later.runtime, first[3].id)
    assert explained.notes == []
    assert explained.values == why(home.runtime, first[3].id).values


def test_a_field_renamed_twice_is_followed_by_every_name_it_had(home: EditedHome, tmp_path: Path) -> None:
    first = home.first  # type: ignore[attr-defined]
    once = edited(EACH_AMOUNT)
    twice = once.replace("total", "sum_paid").replace('fb.renamed("amount")', 'fb.renamed("amount", "total")')
    later = home.copy(tmp_path, twice)
    answers = later.answers(requests(NAMES | {"amount": "sum_paid"}))
    assert [answer.values for answer in answers] == [answer.values for answer in first]
    assert replay(later.runtime, first[0].id).identical


def test_what_is_not_declared_as_renamed_is_refused_with_the_mark_to_set(home: EditedHome, tmp_path: Path) -> None:
    gone = edited(EACH_AMOUNT).replace(', fb.renamed("amount")', "")
    gone = gone.replace("class Payment(fb.Event):\n", "class Payment(fb.Event, kw_only=True):\n").replace(
        "100_000)]", "100_000)] = 0.0"
    )
    later = home.copy(tmp_path, gone)
    (outage,) = outages(later.runtime)
    assert outage.role == "champion"
    assert 'fb.renamed("amount")' in outage.reason
    with pytest.raises(Refused, match="column amount must be a number"):
        later.runtime.app.task_of(later.runtime.registry.version(outage.version).declaration)
