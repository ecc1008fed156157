"""A changed natural key is reported: what lies in the log has its ids by the key of then."""

from pathlib import Path
from typing import Annotated, Any

import pytest

import flyball as fb
from flyball.events import IdentityChange, Schema, identity_changes, open_log, read_type
from flyball.events.declared_log import DeclaredLog

SHOP = Annotated[str, fb.Ref("shop")]


def order(key: tuple[str, ...], **fields: Any) -> type[fb.Event]:
    annotations = {"shop": SHOP, **{name: annotation for name, (annotation, _) in fields.items()}}
    defaults = {name: default for name, (_, default) in fields.items()}
    body = {"__annotations__": annotations, "__module__": __name__, "natural_key": key} | defaults
    return type("Order", (fb.Event,), body)


NUMBER = {"number": (int, 0)}
RENAMED = {"digits": (Annotated[int, fb.renamed("number")], 0)}
MORE = {**NUMBER, "price": (float, 0.0)}
CHANGES = {
    "the same": (("number",), order(("number",), **NUMBER), None),
    "all fields, and one more of them": ((), order((), **MORE), None),
    "all fields, by name": ((), order(("shop", "number", "at"), **NUMBER), None),
    "renamed": (("number",), order(("digits",), **RENAMED), None),
    "fewer": ((), order(("number",), **NUMBER), (("shop", "number", "at"), ("number",))),
    "others": (("number",), order(("shop", "at"), **NUMBER), (("number",), ("shop", "at"))),
    "others, renamed": (("number",), order(("shop",), **RENAMED), (("digits",), ("shop",))),
    "all": (("number",), order((), **NUMBER), (("number",), ("shop", "number", "at"))),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_natural_key_is_named_with_both(tmp_path: Path, case: str) -> None:
    before, cls, expected = CHANGES[case]
    url = f"sqlite://{tmp_path}/events.db?partitions=1"
    log = DeclaredLog(open_log(url), Schema((order(before, **NUMBER),)))
    log.append([log.schema.check("order", {"shop": "a", "number": 3}, 0, 0)])
    found = identity_changes(Schema((cls,)).after(open_log(url).schemas.stored()))
    assert found == ([] if expected is None else [IdentityChange("Order", *expected)])


def test_an_id_that_changed_is_one_that_is_named(tmp_path: Path) -> None:
    """The same event has another id exactly where a change is named."""
    fields = {"shop": "a", "number": 3}
    for case, (before, cls, expected) in CHANGES.items():
        then = Schema((order(before, **NUMBER),))
        now = Schema((cls,)).after([read_type(order(before, **NUMBER)).written])
        named = "digits" if "renamed" in case else "number"
        again = {"shop": "a", named: fields["number"]}
        same = then.check("order", fields, 0, 0).id == now.check("order", again, 0, 0).id
        assert same == (expected is None), case


def test_a_log_that_kept_no_natural_key_names_none() -> None:
    import msgspec

    written = msgspec.structs.replace(read_type(order((), **NUMBER)).written, natural_key=None)
    assert identity_changes(Schema((order(("number",), **NUMBER),)).after([written])) == []
