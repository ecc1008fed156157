"""The result of a comparison: effect, interval, the constants fixed before the start, and the verdict."""

from collections.abc import Mapping
from math import inf, isfinite
from typing import Any

import msgspec

WHEN_VALID = {
    "anytime": "valid at every look",
    "planned looks": "valid at the planned looks",
    "one look": "valid at one planned look",
}
"""{validity: what a reader sees}."""


class Inference(msgspec.Struct, frozen=True):
    """Arm b minus arm a with what is known about it.

    `low`, `high`: the interval, infinite where a side says nothing. `p`: of no effect, or of an effect at the margin.
    `validity`: a key of `WHEN_VALID`. `margin`: the loss that is still acceptable, above 0 where one was declared.
    `missing`: what must still happen before anything may be concluded, "" when nothing. `constants`: all that was fixed
    before the start, to be stored with it.
    """

    method: str
    validity: str
    effect: float
    low: float
    high: float
    p: float
    alpha: float
    count_a: int
    count_b: int
    side: str = "two"
    relative: bool = False
    margin: float = 0.0
    higher_is_better: bool = True
    missing: str = ""
    constants: Mapping[str, float] = {}

    @property
    def verdict(self) -> str:
        """`too early`, `better`, `worse`, `worse than the margin`, `not worse than the margin` or `undecided`."""
        if self.missing:
            return "too early"
        low, high = (self.low, self.high) if self.higher_is_better else (-self.high, -self.low)
        if low > 0:
            return "better"
        if self.margin > 0 and high < -self.margin:
            return "worse than the margin"
        if self.margin > 0 and low > -self.margin:
            return "not worse than the margin"
        return "worse" if high < 0 else "undecided"

    @property
    def sentence(self) -> str:
        """One plain sentence for a reader: effect, interval, when it is valid, and what follows.

        >>> inference = Inference("Welch", "one look", 0.5, 0.1, 0.9, 0.02, 0.05, 80, 80)
        >>> inference.sentence
        'b - a is +0.5 with 95 % interval [+0.1, +0.9] (Welch; valid at one planned look): b is better.'
        """
        end = "b is "
        verdict_texts = {
            "too early": f"nothing may be concluded yet: {self.missing}.",
            "better": f"{end}better.",
            "worse": f"{end}worse.",
            "worse than the margin": f"{end}worse by more than the margin of {self._number(self.margin, False)}.",
            "not worse than the margin": (
                f"{end}not worse by the margin of {self._number(self.margin, False)}; that it is better is not shown."
            ),
            "undecided": "neither better nor worse may be concluded yet.",
        }
        interval = f"[{self._number(self.low)}, {self._number(self.high)}]"
        level = f"{100 * (1 - self.alpha):g} % interval"
        return (
            f"b - a is {self._number(self.effect)} with {level} {interval} "
            f"({self.method}; {WHEN_VALID[self.validity]}): {verdict_texts[self.verdict]}"
        )

    def document(self) -> dict[str, Any]:
        """All of it for JSON, with verdict and sentence, None for an end without limit; `inference_of` reads it."""
        ends = {name: value if isfinite(value) else None for name, value in (("low", self.low), ("high", self.high))}
        plain = {name: getattr(self, name) for name in self.__struct_fields__}
        constants = dict(self.constants)
        return {**plain, **ends, "constants": constants, "verdict": self.verdict, "sentence": self.sentence}

    def _number(self, value: float, signed: bool = True) -> str:
        if not isfinite(value):
            return "no limit" if abs(value) == inf else "unknown"
        scaled, unit = (100 * value, " %") if self.relative else (value, "")
        return f"{scaled:+.4g}{unit}" if signed else f"{scaled:.4g}{unit}"


def inference_of(document: Mapping[str, Any]) -> Inference:
    """The inference that a `document` was made of."""
    ends = {
        name: -sign * inf if document[name] is None else document[name] for name, sign in (("low", 1), ("high", -1))
    }
    fields = {name: value for name, value in document.items() if name in Inference.__struct_fields__}
    return msgspec.convert({**fields, **ends}, Inference)
