"""The audit trail has every action of a person or key, from all histories, with who and from where."""

from pathlib import Path

from tests.access.quick import Office

from flyball.access import Identity, anyone, audit_trail
from flyball.registry import IncidentEntry, changing_incidents, revoke_access_key


def test_keys_and_incidents_stand_in_one_trail(tmp_path: Path) -> None:
    office = Office(tmp_path)
    now_us = office.clock.now_us()
    key, _ = office.key("operate", name="ops")
    identity = Identity("key ops (abc)", frozenset({"operate"}), (), "abc")
    people = [(identity.actor("10.0.0.7", "eve from 1.2.3.4"), 5), ("flyball", 6), (anyone(()).actor("::1"), 7)]
    with changing_incidents(office.registry) as rows:
        rows.put_incident(1, 1, {"id": "inc1"}, "open", "low")
        for by, after_us in people:
            rows.add_entry(
                IncidentEntry(
                    incident=1, at_us=now_us + after_us, by=by, command="note", before="open", after="open", reason="r"
                )
            )
    revoke_access_key(office.registry, key.id, "ben", "leaked", now_us + 9)
    shown = [(action.by, action.source, action.action, action.subject) for action in audit_trail(office.registry)]
    assert shown == [
        ("ann", "command line", "keys create", key.id),
        ("key ops (abc), says eve from 1.2.3.4", "10.0.0.7", "incident note", "inc1"),
        ("anyone", "::1", "incident note", "inc1"),
        ("ben", "command line", "keys revoke", key.id),
    ]
    assert [action.action for action in audit_trail(office.registry, now_us + 9)] == ["keys revoke"]
