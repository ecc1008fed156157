"""A city that orders food: kitchens with queues, a limited number of couriers, weather, and the time that truly passes.

Promises: every order ends once, delivered or cancelled; the same seed gives the same lines however the calls divide the
time; the distribution of the time to a delivery is known at the moment of the order.
"""

from flyball.simulation.worlds.delivery.world import DeliveryWorld

__all__ = ["DeliveryWorld"]
