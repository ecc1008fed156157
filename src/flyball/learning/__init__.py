"""Learning: one command from the log to a released version, and the causes that start it.

Promises: all challengers are fitted and evaluated on the same examples, point-in-time, without having seen the test
window; one that fails, or fails a gate, is registered as rejected with the reason and never serves; a run that is
killed leaves only complete versions; the same snapshot and seed give the same metrics and artifacts; every run belongs
to a case, which says why it was started.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door

if TYPE_CHECKING:  # the governor, which is small, needs the causes alone
    from flyball.learning.alert_findings import last_drift_us, open_findings
    from flyball.learning.case_log import CaseLog
    from flyball.learning.causes import (
        LearningCause,
        LearningEvidence,
        Worsening,
        blocked_by,
        evidence_causes,
        kept_back,
    )
    from flyball.learning.cleanup import remove_outdated
    from flyball.learning.continuation import TrainingRecord, record_of
    from flyball.learning.erasures import ErasedSince, erased_since
    from flyball.learning.expectation import Expectation, expectation_of, last_freshness
    from flyball.learning.freshness import FreshnessPlan, measure_freshness
    from flyball.learning.freshness_report import AgeLoss, Cadence, FreshnessReport, WindowValue
    from flyball.learning.look import measure_evidence, worsening_of
    from flyball.learning.payoffs import with_payoffs
    from flyball.learning.prequential_windows import (
        PrequentialReport,
        PrequentialWindow,
        last_prequential,
        prequential,
        prequential_of,
    )
    from flyball.learning.replayed_policies import BacktestReport, PolicyResult, backtest
    from flyball.learning.report import CandidateReport, LearnReport, Progress, TrainingReport
    from flyball.learning.retraining_policies import RetrainingPolicy, parse_policy
    from flyball.learning.run import LEARNING_LOCK, learn
    from flyball.learning.tuning import (
        CandidateSearch,
        CurveReport,
        SearchReport,
        declaration,
        learning_curves,
        search_parameters,
    )
    from flyball.learning.undone import LONGEST_PATIENCE, UndoneVersion, undone_over

__all__ = [
    "LEARNING_LOCK",
    "LONGEST_PATIENCE",
    "AgeLoss",
    "BacktestReport",
    "Cadence",
    "CandidateReport",
    "CandidateSearch",
    "CaseLog",
    "CurveReport",
    "ErasedSince",
    "Expectation",
    "FreshnessPlan",
    "FreshnessReport",
    "LearnReport",
    "LearningCause",
    "LearningEvidence",
    "PolicyResult",
    "PrequentialReport",
    "PrequentialWindow",
    "Progress",
    "RetrainingPolicy",
    "SearchReport",
    "TrainingRecord",
    "TrainingReport",
    "UndoneVersion",
    "WindowValue",
    "Worsening",
    "backtest",
    "blocked_by",
    "declaration",
    "erased_since",
    "evidence_causes",
    "expectation_of",
    "kept_back",
    "last_drift_us",
    "last_freshness",
    "last_prequential",
    "learn",
    "learning_curves",
    "measure_evidence",
    "measure_freshness",
    "open_findings",
    "parse_policy",
    "prequential",
    "prequential_of",
    "record_of",
    "remove_outdated",
    "search_parameters",
    "undone_over",
    "with_payoffs",
    "worsening_of",
]

__getattr__ = lazy_door(__name__, __file__)
