"""Learning: one command from the log to a released version.

Promises: all challengers are fitted and evaluated on the same examples, point-in-time, without having seen the test
window; one that fails, or fails a gate, is registered as rejected with the reason and never serves; a run that is
killed leaves only complete versions; the same snapshot and seed give the same metrics and artifacts.
"""

from flyball.learning.prequential import (
    PrequentialReport,
    PrequentialWindow,
    last_prequential,
    prequential,
    prequential_of,
)
from flyball.learning.report import CandidateReport, LearnReport, Progress
from flyball.learning.run import learn
from flyball.learning.tuning import (
    CandidateSearch,
    CurveReport,
    SearchReport,
    declaration,
    learning_curves,
    search_parameters,
)

__all__ = [
    "CandidateReport",
    "CandidateSearch",
    "CurveReport",
    "LearnReport",
    "PrequentialReport",
    "PrequentialWindow",
    "Progress",
    "SearchReport",
    "declaration",
    "last_prequential",
    "learn",
    "learning_curves",
    "prequential",
    "prequential_of",
    "search_parameters",
]
