"""Every release that is compared has results of its kind, with sentences for a reader."""

from pathlib import Path

import msgspec
import pytest
from tests.experiments.market import market, register, release

from flyball.core import BadInput, Refused
from flyball.experiments import InterleavingResult, SwitchbackResult, experiment, release_of, release_results


def test_split_units_are_compared_as_an_experiment_and_drafted_lists_as_such(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=100)
    now_us = runtime.clock.now_us()
    split = release_results(runtime, release_of(runtime.registry, "rel1"), now_us, ("k",), only=["bought"])
    assert split == experiment(runtime, "rel1", now_us, ("k",), only=["bought"])
    drafted = msgspec.structs.replace(release(), id="rel2", kind="interleave", success={"positive": 0.0})
    constants = {"period_us": 3.6e9, "alpha": 0.01}
    periods = msgspec.structs.replace(release(), id="rel3", kind="switchback", constants=constants)
    register(runtime, drafted, first=1)
    register(runtime, periods, first=2)
    for known, kind in ((drafted, InterleavingResult), (periods, SwitchbackResult)):
        got = release_results(runtime, known, now_us)
        assert isinstance(got, kind)
        assert got.sentences[0].startswith(f"{known.id} until ")
        with pytest.raises(BadInput, match="which is not sliced"):
            release_results(runtime, known, now_us, ("k",))


def test_a_release_without_control_has_none(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=10)
    register(runtime, msgspec.structs.replace(release(), id="rel2", kind="immediate"), first=1)
    with pytest.raises(Refused, match="must split its units among arms"):
        release_results(runtime, release_of(runtime.registry, "rel2"), runtime.clock.now_us())
