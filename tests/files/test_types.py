"""What writers who died have left, where others may write and where not."""

from pathlib import Path

from flyball.files import FileInfo, LocalFiles, unfinished

HOUR_US = 3_600_000_000


class SharedFiles(LocalFiles):
    is_shared = True


INFOS = [FileInfo(name, 1, hours * HOUR_US) for name, hours in (("old", 0), ("listed", 1), ("new", 20), ("newest", 24))]


def test_alone_everything_that_is_not_listed_is_left_over() -> None:
    assert unfinished(LocalFiles(Path("unused")), INFOS, {"listed"}) == ["old", "new", "newest"]


def test_among_others_only_what_is_a_day_older_than_the_newest() -> None:
    shared = SharedFiles(Path("unused"))
    assert unfinished(shared, INFOS, {"listed"}) == ["old"]
    assert unfinished(shared, INFOS[1:], set()) == []
    assert unfinished(shared, [], set()) == []
