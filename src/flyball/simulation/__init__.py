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
    from flyball.simulation.fairness_drill import FAIRNESS, FairnessDrillReport, run_fairness_drill
    from flyball.simulation.live import Driver, DriveReport, HttpService, ServiceClient, drive_http, stop_on_signals
    from flyball.simulation.loop_drill import FEEDBACK_LOOP, LoopDrillReport, run_loop_drill
    from flyball.simulation.monitor_drill import MONITORS, run_monitor_drill
    from flyball.simulation.monitor_faults import MONITOR_FAULTS
    from flyball.simulation.monitor_report import MonitorDrillReport
    from flyball.simulation.past import ingest_pieces, live_past
    from flyball.simulation.poison_drill import POISON, PoisonDrillReport, PoisonedLists, run_poison_drill
    from flyball.simulation.report import SimulationReport
    from flyball.simulation.shift_drill import run_shift_drill
    from flyball.simulation.shift_drills import SHIFT_DRILLS, SHIFT_FORMS
    from flyball.simulation.shift_report import ShiftDrillReport
    from flyball.simulation.virtual import simulate
    from flyball.simulation.world import (
        DAY_US,
        WORLD_SHIFTS,
        ShiftingWorld,
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
    "FAIRNESS",
    "FEEDBACK_LOOP",
    "MONITORS",
    "MONITOR_FAULTS",
    "POISON",
    "SHIFT_DRILLS",
    "SHIFT_FORMS",
    "WORLD_SHIFTS",
    "DataDrillReport",
    "DrillReport",
    "DriveReport",
    "Driver",
    "FairnessDrillReport",
    "HttpService",
    "LoopDrillReport",
    "MonitorDrillReport",
    "PoisonDrillReport",
    "PoisonedLists",
    "ServiceClient",
    "ShiftDrillReport",
    "ShiftingWorld",
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
    "run_fairness_drill",
    "run_loop_drill",
    "run_monitor_drill",
    "run_poison_drill",
    "run_shift_drill",
    "seed_home",
    "simulate",
    "speed_for",
    "stop_on_signals",
    "world_of",
    "world_program",
    "world_settings",
]

__getattr__ = lazy_door(__name__, __file__)
