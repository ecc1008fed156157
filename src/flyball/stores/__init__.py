"""Key-value stores, opened by URL.

Promises: a batch of changes and its offsets are written atomically; a read sees one consistent state; who
writes with the token of a lost lease is refused; writers beside one another change it as if by turns.
"""

from flyball.stores.memory import MemoryStore
from flyball.stores.store import (
    STATE_BACKENDS,
    Claimable,
    Replaceable,
    SharedStore,
    StateStore,
    StoreChange,
    claim,
    key_of,
    open_state,
    state_beside,
    update_store,
)

__all__ = [
    "STATE_BACKENDS",
    "Claimable",
    "MemoryStore",
    "Replaceable",
    "SharedStore",
    "StateStore",
    "StoreChange",
    "claim",
    "key_of",
    "open_state",
    "state_beside",
    "update_store",
]
