"""The results of any release that is compared: of split units, of drafted lists, or of periods."""

from collections.abc import Collection, Sequence

from flyball.core import BadInput
from flyball.experiments.experiment import experiment
from flyball.experiments.exposures import ExposedUnits
from flyball.experiments.interleaving import InterleavingResult, interleaving
from flyball.experiments.result import ExperimentResult
from flyball.experiments.switchback import SwitchbackResult, switchback
from flyball.releases import Release
from flyball.runtime import Runtime

ReleaseResult = ExperimentResult | InterleavingResult | SwitchbackResult


def release_results(
    runtime: Runtime,
    release: Release,
    as_of_us: int,
    slices: Sequence[str] = (),
    only: Collection[str] | None = None,
    exposed: ExposedUnits | None = None,
) -> ReleaseResult:
    """What `release` did to its units at `as_of_us`, by the analysis of its kind.

    `slices`, `only`, `exposed`: as in `experiment`. Raises `BadInput` for slices of a release whose units see all arms,
    and what the analysis raises.
    """
    if release.kind not in ("interleave", "switchback"):
        return experiment(runtime, release.id, as_of_us, slices, only=only, exposed=exposed)
    if slices:
        raise BadInput("--by", f"left out: {release.id} is of kind {release.kind}, which is not sliced", slices[0])
    return (interleaving if release.kind == "interleave" else switchback)(runtime, release, as_of_us)
