"""Key-value stores, opened by URL.

Promises: a batch of changes and its offsets are written atomically; a read sees one consistent state.
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
