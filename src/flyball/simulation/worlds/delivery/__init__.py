"""A city that orders food: kitchens with queues, a limited number of couriers, weather, and true delivery times.

Promises: every order ends once, delivered or cancelled; the same seed gives the same lines for any division of time
into steps; the distribution of the time to delivery is known when the order is placed.
"""

from flyball.simulation.worlds.delivery.world import DeliveryWorld

__all__ = ["DeliveryWorld"]
