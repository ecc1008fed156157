"""Who is compared: a fitted candidate, or the reason why there is none."""

import msgspec

from flyball.evaluation import Challenger
from flyball.models import ItemKNN, Popular, kind_of


def test_its_kind_is_that_of_its_model_nothing_without_one() -> None:
    assert Challenger("a", model=Popular()).kind == kind_of(Popular()) == "popular"
    assert Challenger("a", model=ItemKNN()).kind != Challenger("a", model=Popular()).kind
    assert Challenger("a", failed="MemoryError").kind == ""


def test_it_is_a_candidate_that_saw_nothing_of_the_test_window_unless_said() -> None:
    plain = Challenger("a")
    assert (plain.role, plain.as_of_us, plain.saw_test_window, plain.features) == ("candidate", 0, False, None)
    champion = msgspec.structs.replace(plain, role="champion", saw_test_window=True)
    assert (champion.name, champion.role, champion.saw_test_window) == ("a", "champion", True)
