"""Finds versions in service that could not serve if the application's present file were deployed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from flyball.core import FlyballError
from flyball.events import WrittenType, log_exists
from flyball.features import FeatureReader
from flyball.models import check_code, check_task_code
from flyball.registry import Version, registry_exists
from flyball.releases import arrangement_to_serve, check_version_features, current, role_of, versions_in_service
from flyball.runtime import Runtime
from flyball.serving.versions.loader import VersionLoader
from flyball.stores import MemoryStore
from flyball.tasks import OnlineFeatures, Stores


class Outage(msgspec.Struct, frozen=True):
    """A version that would go out of service. `role`: champion, the name of an arm, or previous; `reason`: why."""

    version: str
    role: str
    reason: str

    @property
    def serves(self) -> bool:
        """Whether it answers requests today; the previous champion only would after a rollback."""
        return self.role != "previous"


def outages(runtime: Runtime, declared_only: bool = False) -> list[Outage]:
    """The released versions that the application as declared now cannot open, best first.

    Each is loaded as in serving, over empty stores; nothing is written. `declared_only`: the artifact is not read, so
    that only conflicts of the declaration are found, which is fast.
    """
    if not registry_exists(runtime.settings.registry):
        return []
    registry = runtime.registry
    release = current(registry)
    roles = {version: role_of(release, version) for version in versions_in_service(release)}
    rule = arrangement_to_serve(registry, runtime.app.task.about.arrangement)
    opens = _opens_declaration(runtime) if declared_only else _loads(runtime)
    lost = []
    for version, role in roles.items():
        try:
            opens(registry.version(version), rule)
        except Exception as error:  # whatever is wrong with it, it would not serve
            reason = str(error) if isinstance(error, FlyballError) else f"{type(error).__name__}: {error}"
            lost.append(Outage(version, role, reason))
    return lost


_Opens = Callable[[Version, Mapping[str, Any]], object]


def _loads(runtime: Runtime) -> _Opens:
    groups = runtime.app.task.about.feature_groups
    features = OnlineFeatures(FeatureReader(groups, MemoryStore())) if groups else None
    stores = Stores(MemoryStore(), features, {})
    loader = VersionLoader(runtime.app, runtime.artifact_files, stores, _written(runtime))
    return lambda version, rule: loader.load(version, rule, warm_at_us=None)


def _opens_declaration(runtime: Runtime) -> _Opens:
    app, written = runtime.app, _written(runtime)

    def opens(version: Version, rule: Mapping[str, Any]) -> None:
        check_version_features(app.task.about, version)
        check_task_code(version.code, app.task)
        check_code(version.code, app.model_classes)
        if version.declaration:
            app.task_of({**version.declaration, **rule}, written)

    return opens


def _written(runtime: Runtime) -> Sequence[WrittenType]:
    """What the log's records were written with; nothing where there is no log."""
    return runtime.schema.written if log_exists(runtime.settings.events) else ()
