"""What an inference allows to be said, by the place of its interval."""

import msgspec
import numpy as np
import pytest

from flyball.statistics import Inference, inference_of


def inference(low: float, high: float, **more: object) -> Inference:
    return Inference("Welch's t", "anytime", (low + high) / 2, low, high, 0.5, 0.05, 10, 10, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "more", "verdict"),
    [
        (0.1, 0.2, {}, "better"),
        (-0.2, -0.1, {}, "worse"),
        (-0.1, 0.1, {}, "undecided"),
        (0.0, 0.1, {}, "undecided"),
        (-0.1, 0.1, {"margin": 0.2}, "not worse than the margin"),
        (-0.3, -0.25, {"margin": 0.2}, "worse than the margin"),
        (-0.3, -0.1, {"margin": 0.2}, "worse"),
        (-0.3, 0.1, {"margin": 0.2}, "undecided"),
        (0.1, 0.2, {"higher_is_better": False}, "worse"),
        (-0.2, -0.1, {"higher_is_better": False}, "better"),
        (-0.1, 0.1, {"margin": 0.2, "higher_is_better": False}, "not worse than the margin"),
        (0.1, 0.2, {"missing": "3 more days"}, "too early"),
    ],
)
def test_the_verdict_follows_from_the_interval(low: float, high: float, more: dict[str, object], verdict: str) -> None:
    found = inference(low, high, **more)
    assert found.verdict == verdict
    assert found.sentence.endswith(".")


def test_a_sentence_says_shares_as_percent_and_what_is_missing() -> None:
    text = inference(-0.01, np.inf, relative=True, missing="3 more days").sentence
    assert "[-1 %, no limit]" in text
    assert text.endswith("nothing may be concluded yet: 3 more days.")
    assert "valid at every look" in text


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.2), (-np.inf, 0.2), (0.1, np.inf), (-np.inf, np.inf)])
def test_a_document_goes_through_json_and_back(low: float, high: float) -> None:
    written = Inference("m", "anytime", 0.15, low, high, 0.5, 0.05, 10, 10, margin=0.1, constants={"n_best": 5.0})
    document = msgspec.json.decode(msgspec.json.encode(written.document()))
    assert inference_of(document) == written
    assert (document["verdict"], document["sentence"]) == (written.verdict, written.sentence)
