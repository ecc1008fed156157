"""Which views a task reads: its own and the profiles of its entities."""

from typing import Annotated

import flyball as fb
from flyball.events import Schema
from flyball.tasks import About, UserItemsView, task_views
from flyball.testing.state_logs import APPLICATION


class Order(fb.Event):
    order: Annotated[int, fb.Ref("order")]
    courier: Annotated[int, fb.Ref("courier")]


class CourierCard(fb.Profile):
    courier: Annotated[int, fb.Ref("courier")]


class Plain:
    """A task that keeps nothing but profiles."""

    about = About(kind="eta", request=Order, entities=(fb.Entity("courier", CourierCard), fb.Entity("order")))


def test_a_task_without_views_of_its_own_has_the_profiles_of_its_entities() -> None:
    views = task_views(Plain(), Schema([Order, CourierCard]))
    assert [view.spec.kind for view in views] == ["profiles:courier", "profiles:order"]
    assert views[0].only(["7"]) is views[0], "a request names no courier by its key"
    assert views[1].only(["7"]) is not views[1]


def test_a_recommendation_has_histories_before_profiles() -> None:
    app = APPLICATION
    task = fb.Recommend(app.user, app.film, positive=fb.outcome(type_of("Watch")))
    views = task_views(task, app.schema)
    assert isinstance(views[0], UserItemsView)
    assert [view.spec.kind for view in views] == ["user_items", "profiles:user", "profiles:film"]


def type_of(name: str) -> type[fb.Event]:
    return next(kind.cls for kind in APPLICATION.schema.types.values() if kind.cls.__name__ == name)
