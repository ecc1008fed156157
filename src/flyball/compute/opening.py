"""Where tasks run, by URL."""

from flyball.compute.types import Compute
from flyball.core import load_backend, parse_url

COMPUTE_BACKENDS = {
    "processes": "flyball.compute.processes:open_processes",
    "ray": "flyball.compute.ray_opening:open_ray",
}


def open_compute(url: str, workers: int) -> Compute:
    """Open the compute at `url`: `processes://` on this machine, or `ray://host:port`, `ray://local`.

    `workers`: how many processes run side by side on this machine; a cluster has as many as it has CPUs. Raises
    `BadSetting` for options that a backend does not know.
    """
    parsed = parse_url(url)
    compute: Compute = load_backend("compute", COMPUTE_BACKENDS, parsed.scheme)(parsed, workers)
    return compute
