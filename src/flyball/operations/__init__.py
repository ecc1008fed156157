"""Operations: the processes of an application, kept running; the followers of its log, kept up to date.

Promises: followers move as steps, in live and in virtual time; the fresh one comes first; what crashes is started
again, with growing pauses; a second instance on the same home is refused; nothing outlives the supervisor.
"""

from flyball.operations.governor import Decision, Governor, Job, View, next_learn_us
from flyball.operations.supervisor import Child, Happening, Process, Program, Supervisor
from flyball.operations.worker import Feed, Lag, Progress, Worker, lag_words

__all__ = [
    "Child",
    "Decision",
    "Feed",
    "Governor",
    "Happening",
    "Job",
    "Lag",
    "Process",
    "Program",
    "Progress",
    "Supervisor",
    "View",
    "Worker",
    "lag_words",
    "next_learn_us",
]
