"""Provenance: why an answer was what it was, the same answer again, whether its features were right, and whether
another set-up gives the same.

Promises: an explanation is derived from the log, the registry and the artifacts alone, and lists what could not be
determined; a replay is called identical only when it was recomputed and every item, source and bit of a score agrees.
"""

from flyball.provenance.audit import audit
from flyball.provenance.audit_report import Audit, Difference, FeatureAudit
from flyball.provenance.comparison import HomeComparison, PartComparison, compare
from flyball.provenance.explain import Contribution, ExplainedItem, FollowUp, Why, why
from flyball.provenance.many_replays import ManyReplays, replay_many
from flyball.provenance.recompute import Replay, answer_by, differences_of, recomputed, replay

__all__ = [
    "Audit",
    "Contribution",
    "Difference",
    "ExplainedItem",
    "FeatureAudit",
    "FollowUp",
    "HomeComparison",
    "ManyReplays",
    "PartComparison",
    "Replay",
    "Why",
    "answer_by",
    "audit",
    "compare",
    "differences_of",
    "recomputed",
    "replay",
    "replay_many",
    "why",
]
