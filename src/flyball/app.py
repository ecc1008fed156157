"""The declaration of an application, and loading one by name.

Promises: the constructor of `App` checks that its parts fit together and raises `BadDeclaration` naming the part;
nothing is trained, opened or served here.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any

import msgspec

from flyball.core import NOTHING, BadDeclaration, InWords, NotFound, Refused, check_trusted_file, format_duration
from flyball.events import Event, Format, Profile, Schema, WrittenType, join_of
from flyball.models import own_code, own_models_in
from flyball.policy import (
    AlertPlan,
    Choice,
    ExperimentMetric,
    Gates,
    OnPerformance,
    ReleasePlan,
    Stateful,
    SuspectPlan,
    TrainWindow,
    Trigger,
    Watch,
    WorldSpec,
    best,
    every,
    gates,
    immediate,
    retentions,
    train_windows,
)
from flyball.policy import alerts as default_alerts
from flyball.tasks import PATH_RENDERINGS, TakesPeriods, Task, check_plan, task_views

BUILT_IN = {"delivery": "flyball.apps.delivery", "fraud": "flyball.apps.fraud", "movies": "flyball.apps.movies"}

_PATH = re.compile(r"(?P<method>GET|POST) (?P<path>/(?:[A-Za-z0-9_.~-]+|\{\w+\})(?:/(?:[A-Za-z0-9_.~-]+|\{\w+\}))*)\Z")
_OWN = re.compile(r"/(v1|healthz|readyz|metrics|openapi\.json|docs)(/|\Z)")
_METRIC = re.compile(r"\A[A-Za-z][A-Za-z0-9_-]{0,60}\Z")
_NAME = re.compile(r"\A[a-z][a-z0-9_-]{0,40}\Z")
_WATCHED = ("predictions", "quarantine", "features", "outcomes")


class App:
    """One machine-learning application: its events, task and candidates, and the rules by which versions are released.

    `events`: declared event types; the profiles of the task's entities and the joined types of the task are added.
    `formats`: further input formats by name. `choose`: how the winner is chosen; `release`: how it is rolled out;
    `gates`: what it must pass; `retrain`: when learning runs again; `training`: None to fit on everything each time, or
    `fb.stateful()`; `train_window`: from which part of the past, "all", "30d", "since_drift", or a list of windows to
    choose from, the usual one first; `alerts`: whom findings of monitors reach; `watch`: how its data are watched;
    `suspects`: how accounts that act as no others do are treated. The `fb.FeatureSet` of a candidate becomes the
    task's. `world`: simulated users. `paths`: HTTP paths beside those of the task: {"POST /eta": "json"}, or "lines"
    for the ids of the items in one line; names in braces, `"GET /for/{user}"`, are fields of the request.
    `metrics`: what experiments compare, by name, made by the functions of `fb.metric`. `retention`: how long events and
    answers are kept, `{"Watch": "400d", "predictions": "90d"}`; for ever where none is declared.
    """

    def __init__(
        self,
        name: str,
        *,
        events: Sequence[type[Event]],
        task: Task,
        candidates: Mapping[str, Any],
        formats: Mapping[str, Format] | None = None,
        choose: Choice | None = None,
        release: ReleasePlan | None = None,
        gates: Gates | None = None,
        retrain: Sequence[Trigger] | None = None,
        training: Stateful | None = None,
        train_window: str | Sequence[str] = "all",
        alerts: AlertPlan | None = None,
        watch: Watch | None = None,
        suspects: SuspectPlan | None = None,
        world: WorldSpec | None = None,
        paths: Mapping[str, str] | None = None,
        metrics: Mapping[str, ExperimentMetric] | None = None,
        retention: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.task = task
        _check_kinds(name, events, task, candidates, formats)
        self.events = (*events, *_joined_by(task, events))
        self.candidates = dict(candidates)  # candidates with features get the declarations of these below
        self.formats = dict(formats or {})
        self.choose = choose or best(task.offline().plan().default)
        self.release = release or immediate()
        self.gates = gates or _default_gates()
        if retrain is not None and not isinstance(retrain, list | tuple):
            raise BadDeclaration(f"retrain of App {name!r}", 'a list, such as [fb.every("1d")]', retrain)
        self.retrain = tuple(retrain if retrain is not None else [every("1d")])
        self.training = training
        self.train_window = train_window
        self.alerts = alerts or default_alerts()
        self.watch = watch or Watch()
        self.suspects = suspects or SuspectPlan()
        self.world = world
        self.paths = _paths(name, paths, task)
        self.metrics = _metrics(name, metrics)
        self.retention = retentions(retention, [event.__name__.lower() for event in events], f"App {name!r}")
        self.spec = name
        self.source: Path | None = None
        self.own_models: tuple[type[Any], ...] = ()  # set where the file is loaded
        self._check_names()
        self.task, bound = self.task.bind(self.candidates)
        self.candidates = dict(bound)
        self._check()
        self.schema = Schema((*self.events, *self.profiles))
        _check_ignored(self.watch, self.schema)
        for format in self.formats.values():
            format.parser(self.schema)  # a format that cannot read these events raises now, not at the first line

    @property
    def train_windows(self) -> tuple[TrainWindow, ...]:
        """The declared training windows, the usual one first."""
        return train_windows(self.train_window)

    def windows_of(self, declared: str | Sequence[str]) -> tuple[TrainWindow, ...]:
        """The training windows of a value of `train_window`. Raises `BadDeclaration` for those it cannot learn from."""
        windows, what = train_windows(declared), f"train_window of App {self.name!r}"
        if windows != (TrainWindow(),) and not isinstance(self.task.offline(), TakesPeriods):
            must = '"all": its task cannot leave out old data, for that its offline door needs example_times and since'
            raise BadDeclaration(what, must, declared)
        if self.training is not None and windows[0] != TrainWindow():
            must = '"all", or a list that begins with it: a model that continues (training=) keeps what it learned'
            raise BadDeclaration(what, must, declared)
        return windows

    @property
    def profiles(self) -> tuple[type[Profile], ...]:
        """The profile types of the task's entities that the events do not list."""
        profiles = [entity.profile for entity in self.task.about.entities if entity.profile is not None]
        return tuple(profile for profile in profiles if profile not in self.events)

    @property
    def model_classes(self) -> tuple[type[Any], ...]:
        """The classes that an artifact of this application may contain: those of the candidates and of their parts, and
        the other models that its file defines or imports by name."""
        waiting, classes = list(self.candidates.values()), dict.fromkeys(self.own_models)
        while waiting:
            model = waiting.pop()
            classes[type(model)] = None
            waiting += getattr(model, "parts", ())
        return tuple(classes)

    def task_of(self, declaration: Mapping[str, Any], written: Sequence[WrittenType] = ()) -> Task:
        """The task as it was declared when a version was made: `declaration` is the version's, {} for today's.

        `written`: the declarations that the log's records were written with (`Schema.written`). Raises `Refused`, and
        nothing else, when the version does not fit the application as declared now.
        """
        if not declaration:
            return self.task
        try:
            task = self.task.restore(declaration, self.events, written)
            task_views(task, self.schema)
        except Refused:
            raise
        except Exception as error:  # any error disables this version only
            raise Refused(
                "what the version was made with must be readable as the application is declared now, got: "
                f"{error}: release a version learned since"
            ) from error
        return task

    def _check_names(self) -> None:
        if not _NAME.match(self.name):
            raise BadDeclaration("App name", "lower-case letters, digits, - and _, starting with a letter", self.name)
        if not self.events:
            raise BadDeclaration(f"events of App {self.name!r}", "one event type or more", NOTHING)
        for event in self.events:
            if not (isinstance(event, type) and issubclass(event, Event)):
                raise BadDeclaration(f"events of App {self.name!r}", "classes that derive from fb.Event", event)
        if not self.candidates:
            raise BadDeclaration(f"candidates of App {self.name!r}", "one model or more", NOTHING)
        for label in self.candidates:
            if not (isinstance(label, str) and _NAME.match(label)):
                raise BadDeclaration(
                    f"candidate name in App {self.name!r}", "lower-case letters, digits, - and _", label
                )

    def _check(self) -> None:
        self._check_rules()
        self._check_metrics()
        self._check_retention()
        self.windows_of(self.train_window)
        check_plan(self.release, self.task.about, self.metrics)
        plan = self.task.offline().plan()
        plan.check_metric(self.choose.metric)
        for gate in self.gates.metrics:
            check = plan.check_gap if gate.of_groups else plan.check_metric
            check(gate.metric)
        for trigger in self.retrain:
            if isinstance(trigger, OnPerformance):
                plan.check_metric(trigger.metric)
                if "/" in trigger.metric:
                    what = f"metric of on_performance(...) in App {self.name!r}"
                    raise BadDeclaration(what, "that of all requests, without a slice", trigger.metric)
        known = {*self.events, *self.profiles}
        for used in self.task.about.event_types:
            if used not in known:
                must = f"about events and profiles that it declares: put {used.__name__} into events="
                raise BadDeclaration(f"task of App {self.name!r}", must, [event.__name__ for event in known])

    def _check_retention(self) -> None:
        """Raise `BadDeclaration` for what looks further back than its events are kept."""
        about = self.task.about
        looks = [
            (f"feature {group.name}.{definition.name}", part.event, part.window.size_us)
            for group in about.feature_groups
            for definition in group.definitions
            for part, _ in definition.aggregates
        ]
        looks += [(f"label {label.name}", label.event, label.within_us) for label in about.labels]
        looks += [("train_window", event, window.length_us) for window in self.train_windows for event in self.events]
        for what, event, length_us in looks:
            kept_us = self.retention.get(event.__name__.lower())
            if kept_us is not None and length_us > kept_us:
                raise BadDeclaration(
                    f"{what} of App {self.name!r}",
                    f"at most the retention of {event.__name__}, {format_duration(kept_us)}",
                    InWords(format_duration(length_us)),
                )

    def _check_metrics(self) -> None:
        labels = {label.name for label in self.task.about.labels}
        for name, metric in self.metrics.items():
            if metric.label and metric.label not in labels:
                must = f"of a label of the task: {', '.join(sorted(labels)) or 'it has none'}"
                raise BadDeclaration(f"metric {name!r} of App {self.name!r}", must, metric.label)
            for total in metric.totals:
                if total.event not in self.events:
                    must = f"about events that it declares: put {total.event.__name__} into events="
                    got = [event.__name__ for event in self.events]
                    raise BadDeclaration(f"metric {name!r} of App {self.name!r}", must, got)
                read = [part.fields() for part in (total.where, total.value) if part is not None]
                unknown = set().union(*read) - {*total.event.__struct_fields__}
                if unknown:
                    must = f"made of fields of {total.event.__name__}"
                    raise BadDeclaration(f"metric {name!r} of App {self.name!r}", must, sorted(unknown))

    def _check_rules(self) -> None:
        """Check the types of the other arguments here, not in the command that first uses them."""
        rules: list[tuple[str, Any, type | UnionType, str]] = [
            ("choose", self.choose, Choice, 'made by fb.best or fb.cheapest_within_noise, such as fb.best("ndcg@20")'),
            (
                "release",
                self.release,
                ReleasePlan,
                "made by fb.canary, fb.immediate or their like, such as fb.canary(1, 10, 100)",
            ),
            ("gates", self.gates, Gates, "made by fb.gates(...)"),
            ("alerts", self.alerts, AlertPlan, 'made by fb.alerts, such as fb.alerts(on_call=["ann"])'),
            *(
                ("retrain", trigger, Trigger, 'made by fb.every, fb.cron or their like, such as [fb.every("1d")]')
                for trigger in self.retrain
            ),
        ]
        if self.training is not None:
            rules.append(("training", self.training, Stateful, "made by fb.stateful, such as fb.stateful()"))
        rules.append(("suspects", self.suspects, SuspectPlan, 'made by fb.suspects, such as fb.suspects("hold")'))
        rules.append(("watch", self.watch, Watch, 'made by fb.watch, such as fb.watch("1h")'))
        if self.world is not None:
            rules.append(("world", self.world, WorldSpec, 'made by fb.world, such as fb.world("shop")'))
        for argument, got, kind, must in rules:
            if not isinstance(got, kind):
                raise BadDeclaration(f"{argument} of App {self.name!r}", must, got)
        for label, declared_format in self.formats.items():
            if not (
                callable(getattr(declared_format, "parser", None)) and callable(getattr(declared_format, "lines", None))
            ):
                raise BadDeclaration(
                    f"format {label!r} of App {self.name!r}", "an object with parser and lines", declared_format
                )


def _check_ignored(watch: Watch, schema: Schema) -> None:
    """Raise `BadDeclaration` for a subject that is never looked at, so that ignoring it does nothing."""
    for subject in watch.ignore:
        table, _, column = subject.partition(".")
        known = column.partition(".")[0] in schema.types if table == "events" else table in _WATCHED
        if not known:
            must = f"in {', '.join(_WATCHED)} or an event type: {', '.join(f'events.{name}' for name in schema.types)}"
            raise BadDeclaration("ignore of watch(...)", must, subject)


def _check_kinds(name: Any, events: Any, task: Any, candidates: Any, formats: Any) -> None:
    if not isinstance(name, str):
        raise BadDeclaration("App name", "text", name)
    if not isinstance(events, list | tuple):
        raise BadDeclaration(f"events of App {name!r}", "a list of event types, such as [Watch, Rate]", events)
    members = ("about", "bind", "restore", "offline", "online")
    if isinstance(task, type) or not all(hasattr(task, member) for member in members):
        raise BadDeclaration(
            f"task of App {name!r}", "made by fb.Recommend(...) or fb.Predict(...), or a Task of your own", task
        )
    if not isinstance(candidates, Mapping):
        raise BadDeclaration(
            f"candidates of App {name!r}", 'models by name, such as {"popular": fb.Popular()}', candidates
        )
    if formats is not None and not isinstance(formats, Mapping):
        raise BadDeclaration(f"formats of App {name!r}", "formats by name, or what fb.columns gives", formats)


def _joined_by(task: Task, events: Sequence[type[Event]]) -> list[type[Event]]:
    """The joined types of the task whose sides are declared and that are not declared themselves."""
    return [
        event
        for event in task.about.event_types
        if (join := join_of(event)) is not None and event not in events and {join.first, join.second} <= {*events}
    ]


def _metrics(name: str, metrics: Any) -> dict[str, ExperimentMetric]:
    """The metrics of experiments, checked as far as they can be alone."""
    must = 'metrics by name, such as {"bought": fb.metric.rate(Buy, role="primary")}'
    if metrics is not None and not isinstance(metrics, Mapping):
        raise BadDeclaration(f"metrics of App {name!r}", must, metrics)
    for label, metric in (metrics or {}).items():
        if not isinstance(label, str) or not _METRIC.match(label):
            raise BadDeclaration(f"metric name in App {name!r}", "letters, digits, - and _", label)
        if not isinstance(metric, ExperimentMetric):
            raise BadDeclaration(f"metric {label!r} of App {name!r}", must, metric)
    return dict(metrics or {})


def _paths(name: str, paths: Any, task: Task) -> dict[str, str]:
    """The application's own paths, checked; raises `BadDeclaration` naming the path."""
    if paths is not None and not isinstance(paths, Mapping):
        raise BadDeclaration(
            f"paths of App {name!r}", 'renderings by method and path, such as {"POST /eta": "json"}', paths
        )
    about, seen = task.about, {_shape_of(path) for path in task.about.paths}
    renderings = PATH_RENDERINGS if about.items else ("json",)
    for path, rendering in (paths or {}).items():
        what, match = f"path {path!r} of App {name!r}", _PATH.match(path) if isinstance(path, str) else None
        if match is None:
            raise BadDeclaration(what, 'GET or POST and a path, such as "GET /for/{user}"', path)
        if _OWN.match(match["path"]):
            raise BadDeclaration(what, "none of Flyball's own (/v1, /healthz, /readyz, /metrics, /docs)", path)
        if rendering not in renderings:
            raise BadDeclaration(f"rendering of {what}", f"one of {', '.join(renderings)}", rendering)
        for field in re.findall(r"\{(.*?)\}", match["path"]):
            if field not in about.request.__struct_fields__ or field == "at":
                fields = ", ".join(field_name for field_name in about.request.__struct_fields__ if field_name != "at")
                raise BadDeclaration(f"field in {what}", f"one of the request's ({fields})", field)
        if _shape_of(path) in seen:
            raise BadDeclaration(what, "another one than all others", path)
        seen.add(_shape_of(path))
    return dict(paths or {})


def _shape_of(path: str) -> str:
    """Method and path without the names of fields: two paths of the same shape conflict."""
    return re.sub(r"\{.*?\}", "{}", path)


def _default_gates() -> Gates:
    return gates()


def _parameters_of(make: Callable[..., Any]) -> str:
    """The names of its parameters, for a message."""
    from inspect import signature  # takes 10 ms to load

    return ", ".join(signature(make).parameters) or "it takes none"


def load_app(spec: str, options: Mapping[str, Any] | None = None, folder: Path | None = None) -> App:
    """Find an application: a built-in name (`movies`), a file (`my_app.py`) or `module:attribute`.

    A file may import modules beside it, unless an installed package has the same name. `options` are passed to the
    module's `make_app(**options)`; without options its `app` is used, or where it has none what `make_app()` returns.
    `folder`: what relative paths start from (default: the working folder). Raises `NotFound` or `BadDeclaration` saying
    what is wrong and where.
    """
    module, attribute, source = _find_module(spec, folder or Path.cwd())
    make, options = getattr(module, "make_app", None), options or {}
    if options or (attribute == "app" and make is not None and not hasattr(module, "app")):
        if make is None:
            raise BadDeclaration(f"application {spec}", "a module with make_app(...) to take settings", sorted(options))
        try:
            app = make(**options)
        except TypeError as error:
            must = f"arguments of its make_app ({_parameters_of(make)})"
            raise BadDeclaration(f"settings of application {spec}", must, str(error)) from None
    else:
        if not hasattr(module, attribute):
            apps = [name for name, value in vars(module).items() if isinstance(value, App)]
            got = f"one that declares {', '.join(apps)}" if apps else "one without any"
            where = source.name if source else spec
            raise BadDeclaration(where, f"a file that declares {attribute} = fb.App(...)", got)
        app = getattr(module, attribute)
    if not isinstance(app, App):
        raise BadDeclaration(f"{attribute} in {source or spec}", "an fb.App", app)
    app.spec = spec if ":" in spec or spec in BUILT_IN else str(source)
    app.source = source
    app.own_models = own_models_in(vars(module).values())
    for code in (type(app.task), *app.model_classes):
        own_code(code)  # read now: the file may be edited while this process runs
    return app


def _find_module(spec: str, folder: Path) -> tuple[ModuleType, str, Path | None]:
    if spec in BUILT_IN:
        module = import_module(BUILT_IN[spec])
        return module, "app", _file_of(module)
    path = Path(spec) if Path(spec).is_absolute() else folder / spec
    if spec.endswith(".py"):
        if not path.is_file():
            raise NotFound(
                "application file", spec, next_step=f"name one that exists, or write one: flyball new {path.stem}"
            )
        return _load_file(path.resolve()), "app", path.resolve()
    if ":" in spec:
        name, attribute = spec.split(":", 1)
        if name.endswith(".py"):
            next_step = f"name the file alone, {name}, or what is in its module, {name.removesuffix('.py')}:{attribute}"
            raise NotFound("application", spec, next_step=next_step)
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        _check_module(name)
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            raise NotFound("module", str(error.name), next_step="name an installed one, or run in its folder") from None
        return module, attribute, _file_of(module)
    raise NotFound("application", spec, [*BUILT_IN, "a file such as my_app.py", "module:attribute"])


def _check_module(name: str) -> None:
    """Raise `Refused` for a module whose file somebody else may have written; before its code is run."""
    described = find_spec(name.partition(".")[0])
    if described is not None and described.origin is not None and described.has_location:
        check_trusted_file(Path(described.origin), "module")


def _load_file(path: Path) -> ModuleType:
    check_trusted_file(path, "application file")
    name = f"flyball_app_{path.stem}"
    present = sys.modules.get(name)
    if present is not None and present.__file__ == str(path):
        return present
    described = spec_from_file_location(name, path)
    if described is None or described.loader is None:
        raise BadDeclaration(str(path), "a Python file", path.suffix)
    module = module_from_spec(described)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last, so that a file beside it cannot replace an installed package
    try:
        described.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _file_of(module: ModuleType) -> Path | None:
    return Path(module.__file__).resolve() if module.__file__ else None


class AppSource(msgspec.Struct, frozen=True):
    """How another process finds the same application again."""

    spec: str
    options: dict[str, Any] = {}
    folder: str = "."

    def load(self) -> App:
        return load_app(self.spec, self.options, Path(self.folder))
