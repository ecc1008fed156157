"""A planted profile: a machine whose every cost is known, so that a plan's numbers can be computed by hand."""

from typing import Any

import msgspec

from flyball.capacity import MachineProfile, SizeMeasured


def size(users: int, items: int, events: int, **others: Any) -> SizeMeasured:
    """Costs that grow as planted: an answer takes 0.5 ms and 1.5 us an item, an artifact has 100 bytes a user and 10 an
    item, learning takes 2 s and 100 us an event."""
    values: dict[str, Any] = {
        "event_line_bytes": 80.0,
        "ingest_s": 10e-6,
        "online_s": 20e-6,
        "history_s": 5e-6,
        "outcome_event_s": 5e-6,
        "log_bytes": 100.0 * events,
        "history_bytes": 30.0 * events,
        "state_bytes": 1_000.0 * users + 500.0 * items,
        "learn_s": 2.0 + 100e-6 * events,
        "learn_bytes": 200e6 + 1_000.0 * events,
        "artifact_bytes": 100.0 * users + 10.0 * items,
        "run_bytes": 500.0 * users + 50.0 * items,
        "answer_s": 0.5e-3 + 1.5e-6 * items,
        "saturated_per_s": 1 / (0.5e-3 + 1.5e-6 * items),
        "alone_cpu_s": 0.5e-3 + 1.5e-6 * items,
        "alone_s": (0.5e-3 + 1.5e-6 * items,),
        "process_bytes": 150e6,
        "response_bytes": 400.0,
        "recorded_s": 200e-6,
        "prediction_bytes": 1_000.0,
        "outcome_bytes": 200.0,
        "prediction_history_bytes": 50.0,
        **others,
    }
    return SizeMeasured(users=users, items=items, events=events, **values)


def planted_profile(**others: Any) -> MachineProfile:
    """Three sizes of the planted machine; `others` replaces what is measured at all of them."""
    sizes = (size(300, 500, 10_000, **others), size(600, 500, 20_000, **others), size(600, 1_000, 40_000, **others))
    return MachineProfile(
        app="movies",
        machine="a planted machine",
        version="0",
        at_us=1_790_000_000_000_000,
        candidate="ials",
        source="planted",
        events_per_user_day=20.0,
        stores={},
        sizes=sizes,
        took_s=1.0,
    )


def with_format(profile: MachineProfile, number: int) -> MachineProfile:
    return msgspec.structs.replace(profile, format=number)
