"""Outcomes: every answer as a stamped record, joined to what happened after it.

Promises: a prediction read back is the prediction written; an event counts once, for the first prediction within
the window that showed its item to its user, whatever the order in which the two streams arrive.
"""

from flyball.outcomes.consumer import OutcomeConsumer
from flyball.outcomes.counts import BOUNDS_US, Figures
from flyball.outcomes.exposure import shown_items
from flyball.outcomes.prediction import Prediction, find_prediction, prediction_of, prediction_record
from flyball.outcomes.views import Followed, figures, followed

__all__ = [
    "BOUNDS_US",
    "Figures",
    "Followed",
    "OutcomeConsumer",
    "Prediction",
    "figures",
    "find_prediction",
    "followed",
    "prediction_of",
    "prediction_record",
    "shown_items",
]
