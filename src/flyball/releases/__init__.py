"""Releases: which version answers which request, and the steps by which that changes.

Promises: every request has a route that names version, arm and propensity; a user keeps an arm while its share grows; a
version that failed a gate, or whose files differ from the registered ones, never becomes champion; of two simultaneous
changes one succeeds and the other is refused; every change is in the audit trail.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door
from flyball.releases.agreement import BOUNDED, agreement, rank_biased_overlap
from flyball.releases.arrangements import (
    arrangement_in_service,
    arrangement_to_serve,
    arrangement_value,
    declare_arrangement,
    declared_arrangement,
    release_arrangement,
    rollback_arrangement,
)
from flyball.releases.cases import (
    CaseReport,
    VersionChange,
    case_reports,
    case_table,
    payoff_text,
    version_changes,
    waiting_cases,
)
from flyball.releases.change import Change, check_servable, check_version_features, promote, rollback
from flyball.releases.commands import Actor, all_releases, change_release, find_release, last_step, start_release
from flyball.releases.error_budget import abort_alpha, abort_margins, harm_alpha
from flyball.releases.evidence import ArmReward, Evidence, MetricEvidence
from flyball.releases.exposure_counts import (
    AnswerCounts,
    ArmCounts,
    ExposureCounter,
    count_exposures,
    slow_limit_us,
)
from flyball.releases.known_metrics import KnownMetrics
from flyball.releases.release import (
    CANDIDATE,
    CONTROL,
    INTERLEAVED,
    OVER,
    RUNNING,
    TRANSITIONS,
    UNDER_WAY,
    Override,
    Release,
    ReleaseArm,
    Transition,
    move,
    shown_state,
)
from flyball.releases.router import BUCKETS, HOLDOUT, REST, Route, Router, bucket_of, route, unit_of
from flyball.releases.shadow_counts import (
    CONTROL_SHARE,
    Moments,
    ShadowBatch,
    ShadowCounter,
    ShadowResult,
    ShadowSums,
    slices_of,
)
from flyball.releases.state import (
    HoldoutGroup,
    ReleaseState,
    arrangement_id,
    arrangements_of_arms,
    current,
    level_of,
    role_of,
    versions_in_service,
    versions_in_shadow,
    versions_to_serve,
)

if TYPE_CHECKING:  # imported on first use, because it needs statistics
    from flyball.releases.bandit import bandit_weights
    from flyball.releases.canary import GuardrailVerdict, ReleaseDecision, advance, not_shown, verdicts
    from flyball.releases.controller import Controller, ReadMetrics, ReadRewards, no_metrics, no_rewards
    from flyball.releases.described import ReleaseDescription, describe_now, describe_release
    from flyball.releases.shadow_described import ShadowDescription, describe_shadow, shadow_progress

__all__ = [
    "BOUNDED",
    "BUCKETS",
    "CANDIDATE",
    "CONTROL",
    "CONTROL_SHARE",
    "HOLDOUT",
    "INTERLEAVED",
    "OVER",
    "REST",
    "RUNNING",
    "TRANSITIONS",
    "UNDER_WAY",
    "Actor",
    "AnswerCounts",
    "ArmCounts",
    "ArmReward",
    "CaseReport",
    "Change",
    "Controller",
    "Evidence",
    "ExposureCounter",
    "GuardrailVerdict",
    "HoldoutGroup",
    "KnownMetrics",
    "MetricEvidence",
    "Moments",
    "Override",
    "ReadMetrics",
    "ReadRewards",
    "Release",
    "ReleaseArm",
    "ReleaseDecision",
    "ReleaseDescription",
    "ReleaseState",
    "Route",
    "Router",
    "ShadowBatch",
    "ShadowCounter",
    "ShadowDescription",
    "ShadowResult",
    "ShadowSums",
    "Transition",
    "VersionChange",
    "abort_alpha",
    "abort_margins",
    "advance",
    "agreement",
    "all_releases",
    "arrangement_id",
    "arrangement_in_service",
    "arrangement_to_serve",
    "arrangement_value",
    "arrangements_of_arms",
    "bandit_weights",
    "bucket_of",
    "case_reports",
    "case_table",
    "change_release",
    "check_servable",
    "check_version_features",
    "count_exposures",
    "current",
    "declare_arrangement",
    "declared_arrangement",
    "describe_now",
    "describe_release",
    "describe_shadow",
    "find_release",
    "harm_alpha",
    "last_step",
    "level_of",
    "move",
    "no_metrics",
    "no_rewards",
    "not_shown",
    "payoff_text",
    "promote",
    "rank_biased_overlap",
    "release_arrangement",
    "role_of",
    "rollback",
    "rollback_arrangement",
    "route",
    "shadow_progress",
    "shown_state",
    "slices_of",
    "slow_limit_us",
    "start_release",
    "unit_of",
    "verdicts",
    "version_changes",
    "versions_in_service",
    "versions_in_shadow",
    "versions_to_serve",
    "waiting_cases",
]

__getattr__ = lazy_door(__name__, __file__)
