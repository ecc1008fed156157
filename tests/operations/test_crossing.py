"""What crosses from one process to another, or lies in a file, must still be read after an update.

A running `up` starts its children again from the tree as it is then: what it passes was written by the code it
began with. Each struct's fields without a default are held here as they were; a new field needs a default.
"""

import msgspec
import pytest

from flyball.app import AppSource
from flyball.evaluation import Report
from flyball.events import ConsumerLag, WorkerReport
from flyball.history.manifest import Manifest, Part
from flyball.history.snapshot import SnapshotManifest, TypeContent
from flyball.operations import Child, Program
from flyball.operations.process_specs import GovernorReport, ProcessSpec, UpReport
from flyball.outcomes import Prediction
from flyball.releases import ReleaseState
from flyball.settings import Settings
from flyball.simulation.demo import WorldPlan

REQUIRED = {
    ProcessSpec: "source settings name",
    AppSource: "spec",
    Settings: "home events predictions state registry",
    WorkerReport: "at_us applied lags",
    ConsumerLag: "behind lag_us",
    GovernorReport: "at_us doing next_us serial message",
    UpReport: "at_us pid port started_us children",
    Child: "name state pid since_us restarts",
    Program: "name argv",
    WorldPlan: "until_us",
    Manifest: "",
    Part: "type path rows first_at_us last_at_us first_known_us last_known_us",
    SnapshotManifest: "name as_of_us offsets types",
    TypeContent: "rows digest columns",
    ReleaseState: "",
    Prediction: "id at_us key items version level arm propensity request_type request scores sources offsets",
    Report: "requests units start_us end_us seed resamples evaluated better",
}


@pytest.mark.parametrize("kind", REQUIRED, ids=lambda kind: kind.__name__)
def test_fields_that_came_later_have_a_default(kind: type[msgspec.Struct]) -> None:
    required = [field.name for field in msgspec.structs.fields(kind) if field.required]
    assert required == REQUIRED[kind].split(), "give the new field a default, so that what was written before is read"


def test_the_orders_of_the_first_version_are_still_understood() -> None:
    written = b"""{"source":{"spec":"movies","options":{},"folder":"/srv"},"name":"serve-1","channel":5,"settings":{
        "home":"/srv/h","events":"sqlite:///srv/h/events.db?partitions=4","predictions":"sqlite:///srv/h/p.db",
        "state":"lmdb:///srv/h/state","registry":"sqlite:///srv/h/registry.db","port":8082,"workers":2,"app":{}}}"""
    spec = msgspec.json.decode(written, type=ProcessSpec)
    assert (spec.settings.home, spec.channel, spec.settings.zone) == ("/srv/h", 5, "UTC")


def test_the_reports_of_the_first_version_are_still_understood() -> None:
    up = b"""{"at_us":1,"pid":2,"port":3,"started_us":4,
        "children":[{"name":"a","state":"running","pid":5,"since_us":6,"restarts":0}]}"""
    assert msgspec.json.decode(up, type=UpReport).children[0].pid == 5
    worker = b'{"at_us":1,"applied":{"state":2},"lags":{"state":{"behind":0,"lag_us":0,"error":""}}}'
    assert msgspec.json.decode(worker, type=WorkerReport).lags["state"] == ConsumerLag(0, 0)
    governor = b'{"at_us":1,"doing":"waiting","next_us":null,"serial":0,"message":""}'
    assert msgspec.json.decode(governor, type=GovernorReport).doing == "waiting"
