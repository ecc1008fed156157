"""The city as a `World`: orders and their outcomes, the true time, and the time that an oracle would quote."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np

from flyball.core import BadInput, Doubles
from flyball.simulation.outbox import Outbox
from flyball.simulation.world import DAY_US, DrillScale, Timeline, TrueOutcome, WorldBatch, WorldRequest
from flyball.simulation.worlds.delivery.city import CUISINES, make_city
from flyball.simulation.worlds.delivery.conditions import SLOT_US, Conditions, demand_at, slowness_at
from flyball.simulation.worlds.delivery.durations import (
    ACCEPT_MIN,
    ACCEPT_SD,
    HANDOVER_MIN,
    KM_MIN,
    MINUTE_US,
    RIDE_SD,
    WORK_SD,
    Circumstances,
    distribution,
    work_minutes,
)
from flyball.simulation.worlds.delivery.orders import OrderDraw, draw_orders
from flyball.simulation.worlds.delivery.queues import Couriers, Kitchens
from flyball.tasks import Response

CITY = "riverside"
QUANTILES = (0.1, 0.5, 0.9)
_SLOWER = 1.5
"""At a shift of concept of 1, a ride takes longer by this share."""
_MORE_DEMAND, _OTHER_MIX = 4.0, 0.3
"""At a shift of demand of 1: how many times as many orders come in addition, and how far their mix shifts."""
_FULL_MIN = 60.0
"""A shop rejects an order that it could not begin within so many minutes."""
_RECENT = 200


class _Line(msgspec.Struct):
    after_us: int
    type: str
    fields: dict[str, Any]


class _Order(msgspec.Struct):
    """A placed order: its circumstances, its lines to come, and its minutes to delivery."""

    at_us: int
    met: Circumstances
    lines: list[_Line]
    minutes: float | None


class DeliveryWorld:
    """A city that orders food from `shops` shops, delivered by `couriers` couriers, `orders_a_day` in a dry week.

    Lines: `order` (the request), `accepted`, `pickedup`, `delivered` or `cancelled` as JSON; profiles: `shopcard`. A
    response may hold one value, the minutes, or several quantiles of them in ascending order. Answers change nothing.

    True outcome: `delivery`, the minutes of an order that was delivered. True metrics: `closeness`, minus the expected
    absolute error of the middle value in minutes; `inside`, the probability that the time is between the first and
    the last value; `late`, the probability that it takes longer than the last. If world time is sped up, durations of
    orders, hours and weekdays are those of written time.
    """

    DRILL = DrillScale(
        {"past_days": 3, "orders_a_day": 3_000, "shops": 12, "couriers": 150},
        margin=0.5,
        of_data={"orders_a_day": 600},
        of_shift={"orders_a_day": 300, "past_days": 21},
        of_monitors={"orders_a_day": 150, "past_days": 8},
        fractions=3,
    )
    SHIFTS: ClassVar[Mapping[str, str]] = {
        "covariate": "customers order from twice as far, and more at once",
        "concept": "couriers ride: a kilometer takes two and a half times as long",
        "demand": "five times as many orders, from farther away and with more items",
    }

    def __init__(
        self, *, seed: int, start_us: int, orders_a_day: int = 2_000, shops: int = 40, couriers: int = 100
    ) -> None:
        if couriers < 1:
            raise BadInput("couriers", "1 or more", couriers)
        draw, self.rng = (np.random.default_rng([seed, part]) for part in range(2))
        self._city = make_city(draw, shops, orders_a_day)
        self._shops = [f"{CUISINES[kind]}-{number:03d}" for number, kind in enumerate(self._city.cuisine.tolist())]
        self._index = {name: number for number, name in enumerate(self._shops)}
        self._kitchens = Kitchens(self._city.stations, start_us)
        self._couriers = Couriers(draw, couriers, self._city.km, start_us)
        self._conditions = Conditions(shops)
        self._rate = orders_a_day * SLOT_US / DAY_US
        self._slot_us, self._begun, self._numbers = start_us, False, 0
        self._timeline = Timeline()
        self._drawn: deque[OrderDraw] = deque()
        self._orders: dict[int, _Order] = {}
        self._outbox = Outbox()
        self._recent = [deque[float](maxlen=_RECENT) for _ in range(shops)]
        self._shifted: dict[str, float] = {}

    def shift(self, kind: str, share: float) -> None:
        self._shifted[kind] = share

    def requests(self, until_us: int, timeline: Timeline) -> list[WorldRequest]:
        self._timeline = timeline
        while self._slot_us < until_us:
            self._draw_slot()
        self._orders.clear()
        requests = []
        while self._drawn and self._drawn[0].at_us < until_us:
            requests.append(self._place_order(self._drawn.popleft()))
        return requests

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        speed = self._timeline.speed
        for request in requests:
            order = self._orders[request.number]
            for step, line in enumerate(order.lines):
                at_us = order.at_us + int(line.after_us * speed)
                self._outbox.add(at_us, request.number, step, line.type, line.fields)
            if order.minutes is not None:
                self._outbox.note(TrueOutcome(request.number, "delivery", order.minutes))

    def emit(self, until_us: int, timeline: Timeline) -> WorldBatch:
        if not self._begun:
            self._begun = True
            return WorldBatch([("jsonl", self._cards(timeline.written(self._slot_us)))])
        return self._outbox.batch(until_us, timeline)

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, Doubles]:
        closeness, inside, late = np.zeros((3, len(requests)))
        for row, (request, response) in enumerate(zip(requests, responses, strict=True)):
            times, values = distribution(self._met(request)), response.values or (0.0,)
            closeness[row] = -np.abs(times - values[len(values) // 2]).mean()
            inside[row] = ((values[0] <= times) & (times <= values[-1])).mean()
            late[row] = (times > values[-1]).mean()
        return {"closeness": closeness, "inside": inside, "late": late}

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        """`oracle` knows all queues; `shop_median` uses recent deliveries of the shop, `city_median` those of all."""
        everywhere = _quantiles([minutes for recent in self._recent for minutes in recent] or [30.0])
        shops = [_quantiles(recent) if recent else everywhere for recent in self._recent]
        return {
            "oracle": [_quantiles(distribution(self._met(request))) for request in requests],
            "shop_median": [shops[self._index[request.fields["shop"]]] for request in requests],
            "city_median": [everywhere] * len(requests),
        }

    def _draw_slot(self) -> None:
        """Draw the orders of the next slot and place them."""
        self._conditions.step(self.rng)
        written_us = self._timeline.written(self._slot_us)
        demand = self._shifted.get("demand", 0.0)
        mean = self._rate * demand_at(written_us, self._conditions.rain_mm) * (1 + _MORE_DEMAND * demand)
        mix = max(self._shifted.get("covariate", 0.0), _OTHER_MIX * demand)
        self._drawn.extend(draw_orders(self.rng, self._city, self._conditions, self._slot_us, mean, mix))
        self._slot_us += SLOT_US

    def _place_order(self, draw: OrderDraw) -> WorldRequest:
        """Place an order and book a station of the kitchen and a courier for it."""
        number, self._numbers = self._numbers, self._numbers + 1
        at_us, shop, zone = draw.at_us, draw.shop, draw.zone
        order = {"order": draw.key, "shop": self._shops[shop], "city": CITY}
        fields = {
            **order,
            "zone": f"z{zone:02d}",
            "km": draw.km,
            "items": draw.items,
            "amount": draw.amount,
            "rain": draw.rain_mm,
        }
        request = WorldRequest(number, at_us, fields)
        met, arrivals_us = self._circumstances(at_us, shop, zone, draw.km, draw.items, draw.rain_mm, draw.form)
        lines = [_Line(0, "order", fields)]
        self._orders[number] = placed = _Order(at_us, met, lines, None)
        accepted = ACCEPT_MIN * math.exp(ACCEPT_SD * draw.accept_noise)
        start = max(accepted, met.kitchen)
        if draw.out_of_stock or start > _FULL_MIN:
            lines.append(_Line(int(accepted * MINUTE_US), "cancelled", {**order, "by": "shop"}))
            return request
        lines.append(_Line(int(accepted * MINUTE_US), "accepted", order))
        ready_us = at_us + int((start + met.work * math.exp(WORK_SD * draw.work_noise)) * MINUTE_US)
        self._kitchens.book(shop, ready_us)
        courier, picked_us = self._couriers.choose(arrivals_us, ready_us)
        if picked_us - at_us > draw.patience_min * MINUTE_US:
            lines.append(_Line(int(draw.patience_min * MINUTE_US), "cancelled", {**order, "by": "customer"}))
            return request
        there_us = picked_us + int(met.ride * math.exp(RIDE_SD * draw.ride_noise) * MINUTE_US)
        self._couriers.book(courier, there_us, zone)
        ride = {**order, "zone": fields["zone"], "courier": courier + 1}
        lines += [_Line(picked_us - at_us, "pickedup", ride), _Line(there_us - at_us, "delivered", ride)]
        placed.minutes = (there_us - at_us) / MINUTE_US
        self._recent[shop].append(placed.minutes)
        return request

    def _circumstances(
        self, at_us: int, shop: int, zone: int, km: float, items: int, rain: float, form: float
    ) -> tuple[Circumstances, np.ndarray]:
        """The circumstances of an order, and when each courier could be at the shop, int64 (couriers,), us."""
        city = self._city
        shop_zone, slowness = int(city.shop_zone[shop]), slowness_at(self._timeline.written(at_us), rain)
        slowness *= 1 + _SLOWER * self._shifted.get("concept", 0.0)
        km_min = KM_MIN * slowness * 0.5 * float(city.slow[shop_zone] + city.slow[zone])
        arrivals_us = self._couriers.arrivals_us(shop_zone, at_us, KM_MIN * slowness * MINUTE_US)
        met = Circumstances(
            kitchen=(self._kitchens.free_us(shop) - at_us) / MINUTE_US,
            courier=(int(arrivals_us.min()) - at_us) / MINUTE_US,
            work=work_minutes(float(city.work_min[shop]) * math.exp(form), items),
            ride=HANDOVER_MIN + km_min * km,
        )
        return met, arrivals_us

    def _met(self, request: WorldRequest) -> Circumstances:
        """The circumstances when the request was made; for a repeated request, the present ones."""
        order, fields = self._orders.get(request.number), request.fields
        if order is not None and order.at_us == request.at_us:
            return order.met
        shop, zone = self._index[fields["shop"]], int(fields["zone"][1:])
        form = float(self._conditions.form[shop])
        return self._circumstances(request.at_us, shop, zone, fields["km"], fields["items"], fields["rain"], form)[0]

    def _cards(self, at_us: int) -> list[bytes]:
        columns = zip(self._shops, self._city.shop_zone.tolist(), self._city.cuisine.tolist(), strict=True)
        return [
            msgspec.json.encode(
                {"type": "shopcard", "at": at_us, "shop": name, "zone": f"z{zone:02d}", "cuisine": CUISINES[kind]}
            )
            for name, zone, kind in columns
        ]


def _quantiles(minutes: Sequence[float] | deque[float] | np.ndarray) -> Response:
    return Response(values=tuple(np.quantile(np.asarray(minutes), QUANTILES).tolist()))
