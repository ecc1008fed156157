"""Which versions in service could not serve any more if the application's file, as it is now, were deployed."""

import msgspec

from flyball.core import FlyballError
from flyball.events import log_exists
from flyball.features import FeatureReader
from flyball.registry import registry_exists
from flyball.releases import arrangement_to_serve, current
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
        """Whether users are answered by it today; the previous champion is only where a rollback would go."""
        return self.role != "previous"


def outages(runtime: Runtime) -> list[Outage]:
    """The released versions that the application as it is declared now cannot open, best first.

    Each is loaded as serving loads it, over empty stores; nothing is written, and no registry is made.
    """
    if not registry_exists(runtime.settings.registry):
        return []
    registry = runtime.registry
    release = current(registry)
    roles: dict[str, str] = {release.champion: "champion"} if release.champion else {}
    roles |= {arm.version: arm.name for arm in release.arms if arm.version not in roles}
    if release.previous:
        roles.setdefault(release.previous, "previous")
    groups = runtime.app.task.about.feature_groups
    features = OnlineFeatures(FeatureReader(groups, MemoryStore())) if groups else None
    written = runtime.schema.written if log_exists(runtime.settings.events) else ()
    loader = VersionLoader(runtime.app, runtime.artifacts, Stores(MemoryStore(), features, {}), written)
    rule = arrangement_to_serve(registry, runtime.app.task.about.arrangement)
    outages = []
    for version, role in roles.items():
        try:
            loader.load(registry.version(version), rule, warm_at_us=None)
        except Exception as error:  # whatever is wrong with it, it would not serve
            reason = str(error) if isinstance(error, FlyballError) else f"{type(error).__name__}: {error}"
            outages.append(Outage(version, role, reason))
    return outages
