"""Operations: the processes of an application, kept running; the consumers of its log, kept up to date.

Promises: consumers move as steps, in live and in virtual time; the fresh one comes first; what crashes is started
again, with growing pauses; a second instance on the same home is refused; nothing outlives the supervisor.
"""

from flyball.operations.backpressure import breather
from flyball.operations.catching_up import catch_up
from flyball.operations.console import Lines, Panel, Screen
from flyball.operations.feeds import FEATURE_LOCK, at_most_every, feeds_of
from flyball.operations.governor import Decision, Governor, Job, View, next_learn_us
from flyball.operations.heartbeat import Pulse, Rates, rates, read_pulse
from flyball.operations.instance import up
from flyball.operations.learning import RuntimeView, learn_words
from flyball.operations.process import hold_lifeline, read_orders
from flyball.operations.process_specs import Orders
from flyball.operations.state import FeedStatus, ProcessStatus, Status, status
from flyball.operations.supervisor import Child, Happening, Process, Program, Supervisor
from flyball.operations.worker import Feed, Lag, Progress, Worker, lag_words

__all__ = [
    "FEATURE_LOCK",
    "Child",
    "Decision",
    "Feed",
    "FeedStatus",
    "Governor",
    "Happening",
    "Job",
    "Lag",
    "Lines",
    "Orders",
    "Panel",
    "Process",
    "ProcessStatus",
    "Program",
    "Progress",
    "Pulse",
    "Rates",
    "RuntimeView",
    "Screen",
    "Status",
    "Supervisor",
    "View",
    "Worker",
    "at_most_every",
    "breather",
    "catch_up",
    "feeds_of",
    "hold_lifeline",
    "lag_words",
    "learn_words",
    "next_learn_us",
    "rates",
    "read_orders",
    "read_pulse",
    "status",
    "up",
]
