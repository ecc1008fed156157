"""Searching parameters and learning curves, through the command line."""

from tests.cli.conftest import Run


def test_search_and_curve(shop: Run) -> None:
    shop("ingest", "shop.py", "shop-events.jsonl")
    got = shop("search", "run", "shop.py", "--candidate", "ease", "--candidate", "item_knn", "--budget", 3, "--seed", 4)
    assert got.code == 0
    assert "at most 3 full fits a candidate, seed 4" in got.out
    assert "popular" not in got.out
    assert "flyball search list shop.py s1 shows every trial" in got.out
    message = shop("search", "run", "shop.py", "--candidate", "ease", "--how", "halving", "--json").last
    assert (message["search"], message["how"]) == ("s2", "halving")
    assert message["candidates"][0]["spent"] <= message["budget"] == 8
    assert shop("search", "curve", "shop.py", "--candidate", "ease").out.count("%") == 5
    listed = shop("search", "list", "shop.py", "--json").last["searches"]
    assert [(one["id"], one["how"], len(one["trials"]) > 0) for one in listed] == [
        ("s1", "random", True),
        ("s2", "halving", True),
        ("s3", "curve", True),
    ]
    assert "s3" in shop("search", "list", "shop.py").out
    trials = shop("search", "list", "shop.py", "s1").out
    assert "l2=" in trials
    assert "items=" not in trials  # it is the same in all
    assert shop("search", "list", "shop.py", "s3").out.count("as declared") == 5


def test_names_that_are_not_there(shop: Run) -> None:
    assert shop("search", "list", "shop.py").code == 2
    shop("ingest", "shop.py", "shop-events.jsonl")
    assert "no searches yet" in shop("search", "list", "shop.py").out
    got = shop("search", "list", "shop.py", "s9")
    assert (got.code, got.err) == (
        2,
        "flyball: no search 's9'; flyball search list shows all, flyball search run makes one",
    )
    got = shop("search", "run", "shop.py", "--candidate", "svd")
    assert (got.code, got.err) == (2, "flyball: no candidate 'svd'; known: popular, item_knn, ease")
