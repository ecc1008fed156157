"""Which parts of an application a machine runs, and what it must share with the machines that run the others."""

from pathlib import Path
from urllib.parse import urlsplit

from flyball.access import is_in_force
from flyball.core import BadSetting, counted_units
from flyball.registry import access_keys
from flyball.runtime import Runtime
from flyball.serving import check_identity_settings, is_loopback
from flyball.settings import PROCESSES, STORES, Settings

_OF_ONE_MACHINE = ("apply_delays",)
"""Stores that each machine has for itself."""
_FOLDERS = ("history", "artifacts")
"""Stores that may be a folder which several machines mount."""


def check_processes(settings: Settings) -> None:
    """Raise `BadSetting` where this machine runs only some parts of an application, and others could not reach a store
    that they share with it."""
    if set(settings.processes) == set(PROCESSES):
        return
    own = [name for name in STORES if name not in _OF_ONE_MACHINE and not is_shared(settings, name)]
    if own:
        schemes = dict.fromkeys(f"{urlsplit(str(getattr(settings, name))).scheme}://" for name in own)
        raise BadSetting(
            f"{', '.join(own)} must be at URLs that other machines reach, since this one runs "
            f"{' and '.join(settings.processes)} only, got {', '.join(schemes)}: name servers in settings.toml or "
            "FLYBALL_..., or run all parts here (leave out --processes)"
        )


def check_online_stores(settings: Settings) -> None:
    """Raise `BadSetting` where machines share the log and one of the online stores only: one lease says which machine
    writes to both, and the values of the other store would be missing on the others."""
    shared = {name: is_shared(settings, name) for name in ("state", "features")}
    if shared["state"] == shared["features"] or not is_shared(settings, "registry", "events"):
        return
    own = next(name for name, reachable in shared.items() if not reachable)
    scheme = urlsplit(str(getattr(settings, own))).scheme
    raise BadSetting(
        "state and features must both be at URLs that other machines reach, or neither, where registry and events "
        f"are, got {own} at {scheme}://: name a server in settings.toml or FLYBALL_{own.upper()}"
    )


def is_shared(settings: Settings, *names: str) -> bool:
    """Whether other machines may reach these stores: each names a server, or a folder outside the home."""
    return all(_is_reachable(settings, name) for name in names)


def _is_reachable(settings: Settings, name: str) -> bool:
    parts = urlsplit(str(getattr(settings, name)))
    if parts.netloc:
        return True
    return name in _FOLDERS and not Path(parts.path).is_relative_to(settings.folder)


def check_world_access(runtime: Runtime) -> None:
    """Raise `BadSetting` where the users of a simulated world, who have no key, would not be answered."""
    settings = runtime.settings
    if settings.access in ("without-keys", "loopback-open"):
        return
    keys = access_keys(runtime.registry)
    if keys or settings.access == "keys":
        raise BadSetting(
            f"home {runtime.home} must let in requests without a key, as those of a simulated world are, got "
            f"{counted_units(len(keys), 'key')}: say --access loopback-open; or choose another --home"
        )


def check_access(runtime: Runtime) -> None:
    """Raise `BadSetting` for settings of access that contradict each other, and where other machines would reach a
    service that needs no key, unless the settings say so."""
    settings = runtime.settings
    check_identity_settings(settings)
    if "serving" not in settings.processes or settings.access != "auto" or is_loopback(settings.host):
        return
    now_us = runtime.clock.now_us()
    if not any(is_in_force(key, now_us) for key in access_keys(runtime.registry)):
        raise BadSetting(
            f"host must be an address that this machine alone reaches while there are no keys, got {settings.host}: "
            "make a key (flyball keys create APP --role serve); or say --access keys, which lets nobody in until there "
            "is one, or --access without-keys, which lets in everybody who reaches the port"
        )
