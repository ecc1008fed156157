"""Operations: supervises the processes of an application and runs the consumers of its log.

Promises: consumers are steps, the same in live and in virtual time, and the first in the list has priority; crashed
processes are restarted with growing pauses; a second instance on the same home is refused; no child process outlives
the supervisor.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door
from flyball.operations.backpressure import backpressure, between_appends

if TYPE_CHECKING:
    from flyball.operations.bandit_rewards import BanditRewards
    from flyball.operations.console import Display, Lines, Panel
    from flyball.operations.consumers import FEATURE_LOCK, adapted_intervals, at_most_every, consumers_of
    from flyball.operations.deployment import (
        DeploymentFacts,
        WrittenFiles,
        deployment_facts,
        deployment_files,
        write_files,
    )
    from flyball.operations.evidence import EvidenceWatch, MeasuredNow, OpenFindings
    from flyball.operations.governor import Governor, GovernorDecision, LearningJob, LearningState, next_learn_us
    from flyball.operations.heartbeat import Heartbeat, Rates, rates, read_heartbeat
    from flyball.operations.instance import up
    from flyball.operations.leadership import OTHERS
    from flyball.operations.learning import ReleaseControl, RuntimeState, learn_words
    from flyball.operations.log_lines import ObjectLines, start_logging
    from flyball.operations.machine import check_world_access
    from flyball.operations.process import read_spec, watch_parent
    from flyball.operations.process_specs import ProcessSpec, StoreReach, UpReport, running, write_report
    from flyball.operations.reach import ask_reach, store_urls
    from flyball.operations.release_metrics import ReleaseMetrics
    from flyball.operations.retention import RETENTION, RetentionReport
    from flyball.operations.state import ConsumerStatus, ProcessStatus, Status, status
    from flyball.operations.supervisor import Child, Notice, Process, Program, Supervisor
    from flyball.operations.watching import accept_finding, look_and_record, watch_monitors
    from flyball.operations.worker import Consumer, StepReport, Worker
    from flyball.operations.writing import catch_up, claim_stores, holding_leases, writing_online

__all__ = [
    "FEATURE_LOCK",
    "OTHERS",
    "RETENTION",
    "BanditRewards",
    "Child",
    "Consumer",
    "ConsumerStatus",
    "DeploymentFacts",
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
    "ObjectLines",
    "OpenFindings",
    "Panel",
    "Process",
    "ProcessSpec",
    "ProcessStatus",
    "Program",
    "Rates",
    "ReleaseControl",
    "ReleaseMetrics",
    "RetentionReport",
    "RuntimeState",
    "Status",
    "StepReport",
    "StoreReach",
    "Supervisor",
    "UpReport",
    "Worker",
    "WrittenFiles",
    "accept_finding",
    "adapted_intervals",
    "ask_reach",
    "at_most_every",
    "backpressure",
    "between_appends",
    "catch_up",
    "check_world_access",
    "claim_stores",
    "consumers_of",
    "deployment_facts",
    "deployment_files",
    "holding_leases",
    "learn_words",
    "look_and_record",
    "next_learn_us",
    "rates",
    "read_heartbeat",
    "read_spec",
    "running",
    "start_logging",
    "status",
    "store_urls",
    "up",
    "watch_monitors",
    "watch_parent",
    "write_files",
    "write_report",
    "writing_online",
]

__getattr__ = lazy_door(__name__, __file__)  # a command loads what it uses
