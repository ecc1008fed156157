"""Which views a task reads: its own and the profiles of its entities."""

import subprocess
import sys
from typing import Annotated

import flyball as fb
from flyball.app import load_app
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


def test_the_hash_of_views_is_the_same_in_every_process() -> None:
    """Otherwise each restart would fold the whole log again."""
    script = (
        "from flyball.app import load_app\nfrom flyball.tasks import task_views\n"
        "app = load_app('movies')\nprint([view.spec.hash for view in task_views(app.task, app.schema)])"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True) for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    app = load_app("movies")
    assert repr([view.spec.hash for view in task_views(app.task, app.schema)]) == runs[0].stdout.strip()
