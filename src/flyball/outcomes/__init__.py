"""Outcomes: records every response, and joins it to later events by label.

Promises: a prediction that is read back equals the one that was written; each label joins events within its own window,
in whatever order the two streams arrive; an event that completes a label of an item counts once, for the first response
whose label it completes.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door
from flyball.outcomes.consumer import OutcomeChange, OutcomeConsumer
from flyball.outcomes.counts import BOUNDS_US
from flyball.outcomes.declared_predictions import open_predictions
from flyball.outcomes.exposure import exposure_of, shown_items
from flyball.outcomes.intervals import IntervalConsumer, IntervalState, read_interval
from flyball.outcomes.metrics import LabelMetric, VersionOutcomes
from flyball.outcomes.named import NamedIn, named_in
from flyball.outcomes.prediction import (
    Exposure,
    Prediction,
    Team,
    find_prediction,
    id_bytes,
    parts_of,
    prediction_of,
    prediction_of_response,
    prediction_record,
    records_between,
    request_of_prediction,
    response_of,
)
from flyball.outcomes.prediction_history import prediction_consumer, read_predictions
from flyball.outcomes.reviews import Review, ReviewLoad, adds_to, read_reviews, review_load, verdict_fields, verdicts_on
from flyball.outcomes.tables import (
    OUTCOME_BACKENDS,
    Location,
    discard_tables,
    location_of,
    outcomes_beside,
    tables_exist,
    take_place,
)
from flyball.outcomes.views import Followed, first_response_us, followed, outcomes_by_version

if TYPE_CHECKING:
    from flyball.outcomes.frames import (
        LabelOutcome,
        decisions_frame,
        followed_labels,
        label_values,
        outcomes_frame,
        predictions_frame,
    )

__all__ = [
    "BOUNDS_US",
    "OUTCOME_BACKENDS",
    "Exposure",
    "Followed",
    "IntervalConsumer",
    "IntervalState",
    "LabelMetric",
    "LabelOutcome",
    "Location",
    "NamedIn",
    "OutcomeChange",
    "OutcomeConsumer",
    "Prediction",
    "Review",
    "ReviewLoad",
    "Team",
    "VersionOutcomes",
    "adds_to",
    "decisions_frame",
    "discard_tables",
    "exposure_of",
    "find_prediction",
    "first_response_us",
    "followed",
    "followed_labels",
    "id_bytes",
    "label_values",
    "location_of",
    "named_in",
    "open_predictions",
    "outcomes_beside",
    "outcomes_by_version",
    "outcomes_frame",
    "parts_of",
    "prediction_consumer",
    "prediction_of",
    "prediction_of_response",
    "prediction_record",
    "predictions_frame",
    "read_interval",
    "read_predictions",
    "read_reviews",
    "records_between",
    "request_of_prediction",
    "response_of",
    "review_load",
    "shown_items",
    "tables_exist",
    "take_place",
    "verdict_fields",
    "verdicts_on",
]

__getattr__ = lazy_door(__name__, __file__)  # lazy: frames need polars, which serving should not import
