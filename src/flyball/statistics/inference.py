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
"""{validity: how it is described in sentences}."""


class Inference(msgspec.Struct, frozen=True):
    """The comparison of arm b with arm a: `effect` is b minus a.

    `low`, `high`: the interval of level 1 - `alpha`, infinite on a side without limit. `p`: the p-value of no effect,
    or with a margin that of a loss of the margin. `validity`: a key of `WHEN_VALID`. `margin`: the loss that is
    acceptable, 0 if none was declared. `missing`: what must happen before a conclusion is valid, "" for nothing.
    `constants`: the values fixed before the start, to be stored with the result.
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
    def reading(self) -> str:
        """How its interval is to be read: the level, when it is valid, and the method.

        >>> Inference("Welch", "one look", 0.5, 0.1, 0.9, 0.02, 0.05, 80, 80).reading
        '95 %, valid at one planned look, by Welch'
        """
        return f"{100 * (1 - self.alpha):g} %, {WHEN_VALID[self.validity]}, by {self.method}"

    @property
    def sentence(self) -> str:
        """The effect, the interval, when it is valid, and the conclusion, in one sentence.

        >>> inference = Inference("Welch", "one look", 0.5, 0.1, 0.9, 0.02, 0.05, 80, 80)
        >>> inference.sentence
        'b - a is +0.5 with 95 % interval [+0.1, +0.9] (Welch; valid at one planned look): b is better.'
        """
        subject = "b is "
        verdict_texts = {
            "too early": f"nothing may be concluded yet: {self.missing}.",
            "better": f"{subject}better.",
            "worse": f"{subject}worse.",
            "worse than the margin": f"{subject}worse by more than the margin of {self._number(self.margin, False)}.",
            "not worse than the margin": (
                f"{subject}not worse by the margin of {self._number(self.margin, False)}; "
                "that it is better is not shown."
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
        """The fields, verdict and sentence for JSON; None for an infinite end. `inference_of` reads it."""
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
    """The inference of a `document`, the inverse of `Inference.document`."""
    ends = {
        name: -sign * inf if document[name] is None else document[name] for name, sign in (("low", 1), ("high", -1))
    }
    fields = {name: value for name, value in document.items() if name in Inference.__struct_fields__}
    return msgspec.convert({**fields, **ends}, Inference)
