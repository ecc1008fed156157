"""The name that was probably meant."""

from collections.abc import Iterable


def meant_name(name: object, known: Iterable[str]) -> str:
    """The nearest known name, for the end of what a message says must be; "" if none is near.

    >>> meant_name("merchent", ("card", "merchant")), meant_name(5, ("card",))
    (' (did you mean merchant?)', '')
    """
    from difflib import get_close_matches  # only where something is wrong

    near = get_close_matches(name, list(known), n=1) if isinstance(name, str) else []
    return f" (did you mean {near[0]}?)" if near else ""
