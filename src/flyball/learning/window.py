"""Which part of the past is held back to judge candidates on."""

import msgspec
import numpy as np

from flyball.models import Interactions

SHARES = (0.2, 0.3, 0.4, 0.5)

RULE = (
    "test on the latest 20 % of positives by time; 30, 40 or 50 % when fewer would leave less than the least number of "
    "users the gates ask for; positives of the same instant are never divided"
)


class Window(msgspec.Struct, frozen=True):
    """The test window `(split_us, as_of_us]`: `share` of the `positives` are in it, made by `users` users."""

    split_us: int
    as_of_us: int
    share: float
    positives: int
    users: int
    rule: str = RULE


def choose_window(data: Interactions, min_users: int) -> Window | None:
    """The window for `data`, everything known now; None when no positive would lie before the split.

    When none of the shares leaves `min_users` users the widest is given, so that the report can say how many there are.
    """
    positive = data.weights >= 1
    at_us, users = data.at_us[positive], data.user_index[positive]
    order = np.argsort(at_us, kind="stable")
    at_us, users = at_us[order], users[order]
    found: Window | None = None
    for share in SHARES:
        wanted = len(at_us) - int(np.ceil(len(at_us) * share))
        first = int(np.searchsorted(at_us, at_us[wanted], "left")) if wanted else 0
        if first == 0:
            break
        count = len(np.unique(users[first:]))
        actual = (len(at_us) - first) / len(at_us)
        found = Window(int(at_us[first]) - 1, data.as_of_us, actual, len(at_us) - first, count)
        if count >= min_users:
            break
    return found
