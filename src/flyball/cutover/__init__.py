"""The cutover of a home: its writers are kept out for a moment, and then write to the home that it was moved to.

Promises: whoever holds a `WriteGate` closed is alone: every write that was under way has ended and none begins,
whatever the store; a process that dies opens it. After `move_to` an append of a process that had the log open goes to
the new home, any other write is refused, and the message names that home.
"""

from flyball.cutover.fenced import FencedDatabase, FencedLog, FencedQuarantine
from flyball.cutover.gate import Copying, Moved, WriteGate

__all__ = ["Copying", "FencedDatabase", "FencedLog", "FencedQuarantine", "Moved", "WriteGate"]
