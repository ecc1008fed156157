"""What stands for a state that cannot be opened raises as a state that fails does."""

import pytest

from flyball.core import StoreUnavailable
from flyball.serving.versions.unavailable_state import UnavailableState


def test_every_read_and_write_says_why() -> None:
    state = UnavailableState(OSError("disk gone"))
    for use in (lambda: state.read([b"k"]), lambda: state.write({}, ()), state.offsets, lambda: state.scan(b"")):
        with pytest.raises(StoreUnavailable, match="disk gone"):
            use()
    state.close()
