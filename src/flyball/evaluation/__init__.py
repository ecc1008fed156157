"""How good candidates are, how sure that is, what they cost, and whether they may serve.

Promises: all contestants answer the same users through the pipeline that serves; every figure has its interval;
differences are paired; a contestant that fails is told with its reason and stops no other; a gate says why.
"""

from flyball.evaluation.bench import Answers
from flyball.evaluation.beyond_accuracy import (
    coverage,
    mean_popularity,
    novelty,
    popularity_share,
    self_information,
    short_head,
)
from flyball.evaluation.choice import choose
from flyball.evaluation.contestant import RATING_METRICS, Contestant, parse_metric
from flyball.evaluation.estimates import Estimate, bootstrap_interval, bootstrap_means, paired_difference
from flyball.evaluation.gates import GateResult, check_gates
from flyball.evaluation.judge import asked, evaluate
from flyball.evaluation.objective import Trying
from flyball.evaluation.propensity import weigh
from flyball.evaluation.published import PROTOCOLS, AccuracyTable, Line, RatedSet, accuracy_tables, read_rated_set
from flyball.evaluation.ranking_metrics import ACCURACY, average_precision, hit_rate, ndcg, precision, recall
from flyball.evaluation.ratings import bias_predictions, global_mean, mae, rmse
from flyball.evaluation.report import BASELINE, CANDIDATE, CHAMPION, Cost, Judged, Report, SliceFigures, Weighed
from flyball.evaluation.search import Judge, Searched, Space, Trial, learning_curve, search, share_of_users, space_of

__all__ = [
    "ACCURACY",
    "BASELINE",
    "CANDIDATE",
    "CHAMPION",
    "PROTOCOLS",
    "RATING_METRICS",
    "AccuracyTable",
    "Answers",
    "Contestant",
    "Cost",
    "Estimate",
    "GateResult",
    "Judge",
    "Judged",
    "Line",
    "RatedSet",
    "Report",
    "Searched",
    "SliceFigures",
    "Space",
    "Trial",
    "Trying",
    "Weighed",
    "accuracy_tables",
    "asked",
    "average_precision",
    "bias_predictions",
    "bootstrap_interval",
    "bootstrap_means",
    "check_gates",
    "choose",
    "coverage",
    "evaluate",
    "global_mean",
    "hit_rate",
    "learning_curve",
    "mae",
    "mean_popularity",
    "ndcg",
    "novelty",
    "paired_difference",
    "parse_metric",
    "popularity_share",
    "precision",
    "read_rated_set",
    "recall",
    "rmse",
    "search",
    "self_information",
    "share_of_users",
    "short_head",
    "space_of",
    "weigh",
]
