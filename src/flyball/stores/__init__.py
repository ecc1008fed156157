"""Key-value stores, opened by URL.

Promises: a batch of changes and its offsets are written together or not at all; a read is one consistent view.
"""

from flyball.stores.memory import MemoryStore
from flyball.stores.store import STATE_BACKENDS, StateStore, key_of, open_state

__all__ = [
    "STATE_BACKENDS",
    "MemoryStore",
    "StateStore",
    "key_of",
    "open_state",
]
