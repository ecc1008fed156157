"""A machine that runs only some parts of an application shares its stores with the others."""

import random
from pathlib import Path

import pytest

from flyball.access import create_key
from flyball.apps import movies
from flyball.core import BadSetting, ManualClock
from flyball.operations.machine import check_access, check_online_stores, check_processes, check_world_access
from flyball.runtime import Runtime
from flyball.settings import STORES, Settings, load_settings

SERVERS = {store: f"any://server/{store}" for store in STORES if store != "apply_delays"}


def settings(folder: Path, processes: str, **stores: str) -> Settings:
    return load_settings(folder, options={"processes": processes, **stores})


@pytest.mark.parametrize("processes", ["serving", "worker,governor", "serving, worker"])
def test_stores_of_its_own_are_refused_by_name(tmp_path: Path, processes: str) -> None:
    check_processes(settings(tmp_path, processes, **SERVERS))
    with pytest.raises(BadSetting, match="^registry must be at URLs that other machines reach, .* got sqlite://: name"):
        check_processes(settings(tmp_path, processes, **{**SERVERS, "registry": f"sqlite://{tmp_path}/other.db"}))
    with pytest.raises(
        BadSetting, match="^events, predictions, .*, artifacts must be .*, got sqlite://, lmdb://, file"
    ):
        check_processes(settings(tmp_path, processes))


def test_all_parts_on_one_machine_need_no_server(tmp_path: Path) -> None:
    check_processes(settings(tmp_path, "governor,serving,worker"))
    check_processes(load_settings(tmp_path))


def test_files_may_be_in_a_folder_that_machines_mount(tmp_path: Path) -> None:
    mounted = {store: f"file://{tmp_path}/mounted/{store}" for store in ("history", "artifacts")}
    check_processes(settings(tmp_path / "home", "serving", **{**SERVERS, **mounted}))
    inside = {**SERVERS, "history": f"file://{tmp_path}/home/history"}
    with pytest.raises(BadSetting, match="^history must be"):
        check_processes(settings(tmp_path / "home", "serving", **inside))


@pytest.mark.parametrize("own", ["state", "features"])
def test_machines_that_share_the_log_share_both_online_stores_or_neither(tmp_path: Path, own: str) -> None:
    every = "serving,worker,governor"
    check_online_stores(settings(tmp_path, every, **SERVERS))
    both = {**SERVERS, "state": f"lmdb://{tmp_path}/state", "features": f"lmdb://{tmp_path}/features"}
    check_online_stores(settings(tmp_path, every, **both))
    one_own = {**SERVERS, own: f"lmdb://{tmp_path}/{own}"}
    with pytest.raises(
        BadSetting, match=f"or neither, .*, got {own} at lmdb://: name a server in settings.toml or FLYB"
    ):
        check_online_stores(settings(tmp_path, every, **one_own))
    check_online_stores(settings(tmp_path, every, **{**one_own, "events": f"sqlite://{tmp_path}/events.db"}))


def test_other_machines_are_not_let_in_without_keys_unless_that_is_said(tmp_path: Path) -> None:
    def runtime(**options: str) -> Runtime:
        return Runtime(movies.make_app(), load_settings(tmp_path, options=options), ManualClock(100))

    far = runtime(host="0.0.0.0")
    with pytest.raises(
        BadSetting, match="host must be .* while there are no keys, got 0.0.0.0: make a key .flyball keys"
    ):
        check_access(far)
    for options in ({}, {"access": "keys"}, {"access": "without-keys"}, {"access": "loopback-open"}):
        check_access(runtime(**({"host": "0.0.0.0"} if options else {}), **options))
    create_key(far.registry, ["serve"], random.Random(1), name="old", by="ann", now_us=1, for_us=50)
    with pytest.raises(BadSetting, match="while there are no keys"):
        check_access(far)
    create_key(far.registry, ["serve"], random.Random(2), name="new", by="ann", now_us=1)
    check_access(far)


def test_a_header_that_nobody_is_trusted_to_send_is_refused_before_anything_starts(tmp_path: Path) -> None:
    def runtime(**options: str) -> Runtime:
        return Runtime(movies.make_app(), load_settings(tmp_path, options=options), ManualClock(100))

    with pytest.raises(BadSetting, match="identity_header must come with trusted_proxies"):
        check_access(runtime(identity_header="X-Forwarded-User"))
    with pytest.raises(BadSetting, match="setting identity_roles must be of read, serve"):
        check_access(runtime(identity_roles="owner"))
    check_access(runtime(identity_header="X-Forwarded-User", trusted_proxies="10.0.0.0/8"))


def test_a_simulated_world_is_refused_where_its_users_would_need_a_key(tmp_path: Path) -> None:
    def runtime(**options: str) -> Runtime:
        return Runtime(movies.make_app(), load_settings(tmp_path, options=options), ManualClock(100))

    check_world_access(runtime())
    with pytest.raises(BadSetting, match="of a simulated world are, got 0 keys: say --access loopback-open"):
        check_world_access(runtime(access="keys"))
    create_key(runtime().registry, ["serve"], random.Random(1), name="own", by="ann", now_us=1)
    with pytest.raises(BadSetting, match="got 1 key: say --access loopback-open; or choose another --home"):
        check_world_access(runtime())
    check_world_access(runtime(access="loopback-open"))
