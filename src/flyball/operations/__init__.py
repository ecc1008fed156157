"""Operations: supervises the processes of an application and runs the consumers of its log.

Promises: consumers are steps, the same in live and in virtual time, and the first in the list has priority; crashed
processes are restarted with growing pauses; a second instance on the same home is refused; no child process outlives
the supervisor.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door
from flyball.operations.backpressure import backpressure

if TYPE_CHECKING:
    from flyball.operations.bandit_rewards import BanditRewards
    from flyball.operations.console import Display, Lines, Panel
    from flyball.operations.consumers import FEATURE_LOCK, at_most_every, catch_up, consumers_of
    from flyball.operations.evidence import EvidenceWatch, MeasuredNow, OpenFindings
    from flyball.operations.governor import Governor, GovernorDecision, LearningJob, LearningState, next_learn_us
    from flyball.operations.heartbeat import Heartbeat, Rates, rates, read_heartbeat
    from flyball.operations.instance import up
    from flyball.operations.learning import ReleaseControl, RuntimeState, learn_words
    from flyball.operations.process import read_spec, watch_parent
    from flyball.operations.process_specs import ProcessSpec
    from flyball.operations.release_metrics import ReleaseMetrics
    from flyball.operations.state import ConsumerStatus, ProcessStatus, Status, status
    from flyball.operations.supervisor import Child, Notice, Process, Program, Supervisor
    from flyball.operations.watching import look_and_record
    from flyball.operations.worker import Consumer, StepReport, Worker

__all__ = [
    "FEATURE_LOCK",
    "BanditRewards",
    "Child",
    "Consumer",
    "ConsumerStatus",
    "Display",
    "EvidenceWatch",
    "Governor",
    "GovernorDecision",
    "Heartbeat",
    "LearningJob",
    "LearningState",
    "Lines",
    "MeasuredNow",
    "Notice",
    "OpenFindings",
    "Panel",
    "Process",
    "ProcessSpec",
    "ProcessStatus",
    "Program",
    "Rates",
    "ReleaseControl",
    "ReleaseMetrics",
    "RuntimeState",
    "Status",
    "StepReport",
    "Supervisor",
    "Worker",
    "at_most_every",
    "backpressure",
    "catch_up",
    "consumers_of",
    "learn_words",
    "look_and_record",
    "next_learn_us",
    "rates",
    "read_heartbeat",
    "read_spec",
    "status",
    "up",
    "watch_parent",
]

__getattr__ = lazy_door(__name__, __file__)  # a command loads what it uses
