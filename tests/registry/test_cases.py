"""Cases in the registry: written as they go, read back as they were."""

from pathlib import Path

import msgspec
import pytest

from flyball.core import NotFound
from flyball.registry import (
    Case,
    Registry,
    begin_run,
    cases_of,
    close_case,
    link_run,
    open_case,
    refuse_case,
    start_case,
)

CASE = Case(
    app="shop",
    trigger="fb.on_volume(5_000)",
    kind="volume",
    cause="5,100 new labels",
    opened_us=2**40,
    evidence={"labels": 5100, "ü": [1.5, None]},
    fingerprint="f v1",
    expected={"gain": None, "cost_s": 2.5, "note": ""},
)


def test_a_case_comes_back_with_its_refusals_its_run_and_its_outcome(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    first, second = open_case(registry, CASE), open_case(registry, CASE)
    assert (first.id, second.id) == ("c1", "c2")
    refused = refuse_case(registry, second, 7, "cooldown")
    assert refuse_case(registry, refused, 8, "cooldown") == refused, "a reason is not repeated"
    refused = refuse_case(registry, refused, 9, "another run is under way")
    assert [refusal["at_us"] for refusal in refused.refusals] == [7, 9]
    started = start_case(registry, refused)
    run = begin_run(registry, "shop", 1, 2)
    link_run(registry, ["c2"], run)
    close_case(registry, "c2", 11, "v3 is the champion now")
    close_case(registry, "c2", 12, "said twice")
    again = Registry(f"sqlite://{tmp_path}/registry.db")
    closed = msgspec.structs.replace(
        started, status="closed", run=run.id, closed_us=11, outcome="v3 is the champion now"
    )
    assert cases_of(again) == [msgspec.structs.replace(CASE, id="c1"), closed]
    assert cases_of(again, "c2") == [closed]
    with pytest.raises(NotFound, match="c1, c2"):
        cases_of(again, "c3")
