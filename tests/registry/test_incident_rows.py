"""Rows of incidents: documents come back as they went in, and a registry from before them is brought up to date."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from flyball.core import Refused
from flyball.registry import IncidentEntry, Registry, changing_incidents, incident_documents, incident_entries
from flyball.registry.migrate import FOLDER


def test_documents_and_entries_come_back_in_order(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    entry = IncidentEntry(incident=1, at_us=5, by="ü", command="open", before="", after="open", evidence={"a": [1]})
    with changing_incidents(registry) as rows:
        rows.put_incident(rows.next_number("incidents"), 1, {"id": "inc1"}, "open", "low")
        rows.put("alerts", "ff", {"n": 1}, state="firing", incident_number=1)
        rows.put("alerts", "ff", {"n": 2}, state="over", incident_number=1)
        rows.put("alerts", "aa", {"n": 3}, state="pending", incident_number=None)
        rows.add_entry(entry)
        assert rows.documents("alerts") == [{"n": 3}, {"n": 2}]
        assert rows.next_number("incidents") == 2
    assert incident_documents(registry, "alerts") == [{"n": 3}, {"n": 2}]
    assert incident_documents(registry, "alerts", "state = :state", state="over") == [{"n": 2}]
    assert incident_entries(registry) == incident_entries(registry, 1) == [entry]
    assert incident_entries(registry, 2) == []


def test_a_revision_is_replaced_by_the_next_one_only(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    with changing_incidents(registry) as rows:
        rows.put_incident(1, 1, {}, "open", "low")
        rows.put_incident(1, 2, {}, "open", "low")
    with pytest.raises(Refused, match="inc1 must be at revision 1, got another"), changing_incidents(registry) as rows:
        rows.put_incident(1, 2, {}, "closed", "low")


def test_a_registry_from_before_incidents_gets_their_tables(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    engine = sa.create_engine(f"sqlite:///{tmp_path}/registry.db")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
    engine.dispose()
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    assert incident_documents(registry, "incidents") == []
