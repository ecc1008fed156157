"""How many machines an application needs: measured on this one, predicted by a written model.

Promises: every number of a plan comes from a measurement or from the demand, none is assumed; what lies far beyond the
measured sizes is named; a larger load never needs fewer processes.
"""

from flyball.capacity.demand import CapacityPlan, Demand, Growth, PartPlan, Prices
from flyball.capacity.load import Load, closed_loop, open_loop
from flyball.capacity.measuring import measure
from flyball.capacity.planning import plan_capacity
from flyball.capacity.profile import MachineProfile, SizeMeasured, read_profile, write_profile
from flyball.capacity.queueing import BulkService, NoneInTime, erlang_c, response_times, servers_needed, share_in_time
from flyball.capacity.sample import EventSample, take_sample
from flyball.capacity.serving_cost import answer_cost, one_server, request_paths

__all__ = [
    "BulkService",
    "CapacityPlan",
    "Demand",
    "EventSample",
    "Growth",
    "Load",
    "MachineProfile",
    "NoneInTime",
    "PartPlan",
    "Prices",
    "SizeMeasured",
    "answer_cost",
    "closed_loop",
    "erlang_c",
    "measure",
    "one_server",
    "open_loop",
    "plan_capacity",
    "read_profile",
    "request_paths",
    "response_times",
    "servers_needed",
    "share_in_time",
    "take_sample",
    "write_profile",
]
