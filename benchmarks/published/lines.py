"""One published value beside ours, and how the lines of a file are made."""

from collections.abc import Iterator, Sequence

import msgspec


class Line(msgspec.Struct, frozen=True):
    """One published value beside ours.

    `ours` is None where it is not offered. `why`: the convention that differs, or why it is not offered; "" where the
    values must agree within `tolerance` (absolute; relative where `relative`).
    """

    name: str
    theirs: float
    ours: float | None
    tolerance: float = 1e-6
    relative: bool = False
    why: str = ""

    @property
    def difference(self) -> float:
        """Ours less theirs, a share of theirs where `relative`; 0 where both are the same infinity."""
        if self.ours is None or self.ours == self.theirs:
            return 0.0
        return (self.ours - self.theirs) / (abs(self.theirs) if self.relative else 1.0)

    @property
    def verdict(self) -> str:
        """`same`, `by convention`, `not offered` or `DIFFERS`."""
        if self.ours is None:
            return "not offered"
        if abs(self.difference) <= self.tolerance:
            return "same"
        return "by convention" if self.why else "DIFFERS"


def many(
    name: str, theirs: Sequence[float], ours: Sequence[float], tolerance: float = 1e-6, why: str = ""
) -> Iterator[Line]:
    """One line for each pair."""
    for number, (their, our) in enumerate(zip(theirs, ours, strict=True), 1):
        yield Line(f"{name} {number}" if len(theirs) > 1 else name, float(their), float(our), tolerance, why=why)


def agrees(name: str, whether: bool, why: str = "") -> Line:
    """A property that holds (1) or does not (0)."""
    return Line(name, 1.0, float(whether), 0.0, why=why)


def absent(name: str, theirs: float, why: str) -> Line:
    """A value of something that is not offered, and why."""
    return Line(name, theirs, None, why=why)
