"""Rate limits: how many requests and events a key or an address may send.

Promises: of one key or address never more than burst + rate * time is admitted in any window, by all processes of a
machine together, but for what `lock_waits` counts; memory does not grow with their number, and whoever is forgotten for
lack of room gains nothing by it. What several machines admit together is paid back before more is admitted. Nothing
here knows HTTP.
"""

from flyball.limits.bucket_table import LONGEST_S, BucketTable
from flyball.limits.late_answers import LateAnswers
from flyball.limits.rate import NO_LIMIT, Rate, parse_rate
from flyball.limits.rate_limiter import LIMITED_KINDS, RateLimiter, Sender, network_of
from flyball.limits.refusal_log import RefusalLog
from flyball.limits.shared_table import SharedTables
from flyball.limits.usage import BucketUse, Usage

__all__ = [
    "LIMITED_KINDS",
    "LONGEST_S",
    "NO_LIMIT",
    "BucketTable",
    "BucketUse",
    "LateAnswers",
    "Rate",
    "RateLimiter",
    "RefusalLog",
    "Sender",
    "SharedTables",
    "Usage",
    "network_of",
    "parse_rate",
]
