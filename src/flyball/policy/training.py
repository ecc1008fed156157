"""How a candidate is trained again: from everything, or from what the champion had learned."""

import msgspec

from flyball.core import BadDeclaration


class Stateful(msgspec.Struct, frozen=True, tag="stateful"):
    """The champion's candidate continues from the champion, with what is new, and every `refit_every`-th time it is
    fitted on everything."""

    refit_every: int


def stateful(*, refit_every: int = 10) -> Stateful:
    """Continue from what the champion had learned: `training=fb.stateful(refit_every=10)`.

    Every `refit_every`-th time, and when the champion cannot be continued, the candidate is fitted on everything.
    Raises `BadDeclaration` for fewer than 2.
    """
    if not isinstance(refit_every, int) or isinstance(refit_every, bool) or refit_every < 2:
        raise BadDeclaration("refit_every of stateful(...)", "a whole number from 2, such as 10", refit_every)
    return Stateful(refit_every)
