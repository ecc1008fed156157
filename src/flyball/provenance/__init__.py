"""Provenance: why an answer was what it was, the same answer again, and whether its features were right.

Promises: an explanation is derived from the log, the registry and the artifacts alone, and lists what could not be
determined; a replay is called identical only when it was recomputed and every item, source and bit of a score agrees.
"""

from flyball.provenance.audit import audit
from flyball.provenance.audit_report import Audit, Difference, FeatureAudit
from flyball.provenance.explain import Contribution, ExplainedItem, FollowUp, Why, why
from flyball.provenance.recompute import Replay, answer_by, differences_of, replay

__all__ = [
    "Audit",
    "Contribution",
    "Difference",
    "ExplainedItem",
    "FeatureAudit",
    "FollowUp",
    "Replay",
    "Why",
    "answer_by",
    "audit",
    "differences_of",
    "replay",
    "why",
]
