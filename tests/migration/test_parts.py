"""When two URLs are the same store."""

import pytest

from flyball.migration.parts import is_same_store


@pytest.mark.parametrize(
    ("url", "other", "same"),
    [
        ("sqlite:///a/events.db?partitions=4", "sqlite:///a/events.db", True),
        ("postgresql://ann:s3cret@db/x?schema=shop", "postgresql://bob@db/x?schema=shop", True),
        ("postgresql://ann@db/x?schema=shop", "postgresql://ann@db/x?schema=other", False),
        ("file:///srv/a@b/history", "file:///srv/c@b/history", False),
        ("s3://bucket/h?endpoint=http://a", "s3://bucket/h?endpoint=http://b", False),
    ],
)
def test_is_same_store(url: str, other: str, same: bool) -> None:
    assert is_same_store(url, other) == same
