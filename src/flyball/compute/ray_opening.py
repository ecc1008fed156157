"""Opens compute on Ray, whose library reads its environment as it is loaded."""

import os

from flyball.compute.types import Compute
from flyball.core import BadSetting, Url

_OPTIONS = ("cpus", "retries")
_LOCAL = "local"
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""No usage statistics are sent to Ray's makers, and a warning about a later version is left out."""


def open_ray(url: Url, workers: int) -> Compute:
    """`ray://host:port` of a cluster's head, or `ray://local?cpus=2`; `?retries=2`: how often a lost task starts again.

    This machine is a node of the cluster (`ray start --address=host:port`, with `--num-cpus=0` if it is to run no
    tasks); a cluster that wants a token gets that of RAY_AUTH_TOKEN_PATH. `workers` is not used: a cluster runs as
    many tasks as it has CPUs.
    """
    url.check_options(_OPTIONS)
    if url.user or url.password:
        raise BadSetting(
            f"compute ray://{url.address} must have no login, got one: a cluster that wants a token gets that of "
            "RAY_AUTH_TOKEN_PATH"
        )
    host, _, port = url.path.rpartition(":")
    if url.path != _LOCAL and not (host and port.isdecimal()):
        raise BadSetting(f"compute ray:// must name local or host:port of a cluster's head, got {url.path!r}")
    if "cpus" in url.options and url.path != _LOCAL:
        raise BadSetting(
            f"option cpus must stand with ray://local, got ray://{url.path}: its nodes say what they have, leave it out"
        )
    _set_environment(url.path == _LOCAL)
    from flyball.compute.ray_cluster import RayCluster  # loads ray

    cpus = url.integer("cpus", os.cpu_count() or 1)
    return RayCluster("" if url.path == _LOCAL else url.path, cpus, url.integer("retries", 2))


def _set_environment(is_local: bool) -> None:
    """What Ray reads as it is loaded. A cluster of this process alone wants a token that nobody else knows: its ports
    are open to the network."""
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    if is_local and "RAY_AUTH_MODE" not in os.environ:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=os.urandom(32).hex())
