"""The report of a copied part, and when two URLs are the same store."""

import msgspec

from flyball.core import parse_url


class PartCopy(msgspec.Struct, frozen=True):
    """A part as it is in both homes: `count` of `unit`, equal by `digest`. `copied`: how many of them by this run."""

    part: str
    source: str
    target: str
    count: int
    copied: int
    unit: str
    digest: str

    def text(self) -> str:
        """As text for people."""
        copied = f", {self.copied:,} copied now" if self.copied else ""
        return f"{self.part:<12}{self.count:,} {self.unit} equal ({self.digest[:16]}){copied}"


def is_same_store(url: str, other: str) -> bool:
    """Whether two URLs are of one store, whatever other options they have.

    >>> is_same_store("sqlite:///a/events.db?partitions=4", "sqlite:///a/events.db")
    True
    >>> is_same_store("redis://cache:6379/0?name=shop", "redis://cache:6379/0?name=shop-features")
    False
    """
    named = [
        (parsed.scheme, parsed.address, *(parsed.options.get(name) for name in _NAMES))
        for parsed in (parse_url(url), parse_url(other))
    ]
    return named[0] == named[1]


_NAMES = ("schema", "name", "endpoint")
"""The options that say which of several stores of a server is meant."""
