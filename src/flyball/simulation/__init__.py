"""Simulated worlds with a known ground truth, which drive an application live or in virtual time.

Promises: the same seed gives the same requests, decisions and lines; corrupted lines are counted; the true quality of
every response is known, so that measured metrics can be compared with true ones. The drivers use only the five methods
of `World`.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door

if TYPE_CHECKING:
    from flyball.simulation.data_drill import DATA_DRILLS, DataDrillReport, run_data_drill
    from flyball.simulation.demo import (
        WorldPlan,
        check_made_up,
        drive_plan,
        new_plan,
        plan_summary,
        read_plan,
        seed_home,
        speed_for,
        world_of,
        world_program,
    )
    from flyball.simulation.drill import DRILLS, DrillReport, run_drill
    from flyball.simulation.live import Driver, DriveReport, HttpService, ServiceClient, drive_http, stop_on_signals
    from flyball.simulation.past import ingest_pieces, live_past
    from flyball.simulation.report import SimulationReport
    from flyball.simulation.virtual import simulate
    from flyball.simulation.world import (
        DAY_US,
        Timeline,
        TrueOutcome,
        World,
        WorldBatch,
        WorldRequest,
        open_world,
        world_settings,
    )

__all__ = [
    "DATA_DRILLS",
    "DAY_US",
    "DRILLS",
    "DataDrillReport",
    "DrillReport",
    "DriveReport",
    "Driver",
    "HttpService",
    "ServiceClient",
    "SimulationReport",
    "Timeline",
    "TrueOutcome",
    "World",
    "WorldBatch",
    "WorldPlan",
    "WorldRequest",
    "check_made_up",
    "drive_http",
    "drive_plan",
    "ingest_pieces",
    "live_past",
    "new_plan",
    "open_world",
    "plan_summary",
    "read_plan",
    "run_data_drill",
    "run_drill",
    "seed_home",
    "simulate",
    "speed_for",
    "stop_on_signals",
    "world_of",
    "world_program",
    "world_settings",
]

__getattr__ = lazy_door(__name__, __file__)
