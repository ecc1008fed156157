"""Every setting by its three sources, secrets by file, and nothing unknown."""

import json
from pathlib import Path
from typing import Any

import pytest

from flyball.cli.setting_options import OPTION_NAMES
from flyball.core import BadSetting
from flyball.settings import SETTING_NAMES, STORES, Settings, load_settings, read_settings, shown_own_settings

VALUES: dict[str, Any] = {
    **{name: f"file:///elsewhere/{name}" for name in STORES},
    "zone": "Europe/Berlin",
    "host": "0.0.0.0",
    "port": 1234,
    "workers": 7,
    "keep_runs": 9,
    "keep_answers": "3d",
    "manage": True,
    "sinks": ["log://", "log://?name=other"],
    "processes": ["serving", "worker"],
    "drain": "5s",
    "compute": "ray://cluster:10001",
    "lease": "30s",
    "log_format": "json",
    "limit_answers": "50/s, burst 100",
    "limit_events": "none",
    "connections": 500,
    "connections_per_address": 50,
    "traces": "otlp+http://collector:4318",
    "access": "without-keys",
    "identity_header": "X-Forwarded-User",
    "identity_roles": ["read", "serve"],
    "trusted_proxies": ["10.0.0.0/8", "::1"],
    "origins": ["https://shop.example", "http://localhost:3000"],
}
"""A value that is not the default for every setting of Flyball."""


def text_of(value: Any) -> str:
    if isinstance(value, list) and value != VALUES["sinks"]:
        return ",".join(value)
    return " ".join(value) if isinstance(value, list) else json.dumps(value) if value is True else str(value)


def test_this_table_and_the_options_have_every_setting() -> None:
    assert set(VALUES) == set(OPTION_NAMES) == set(SETTING_NAMES) - {"home", "app"}, "add the new setting to both"


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_comes_from_the_file_the_environment_a_secret_or_an_option(name: str, tmp_path: Path) -> None:
    default, value = getattr(load_settings(tmp_path), name), VALUES[name]
    assert value not in (default, list(default) if isinstance(default, tuple) else None)
    secret, settings, variable = tmp_path / "secret", tmp_path / "settings.toml", f"FLYBALL_{name.upper()}"
    settings.write_text(f"{name} = {json.dumps(value)}\n")
    by_file = read_settings(tmp_path)
    settings.unlink()
    secret.write_text(text_of(value) + "\n")
    sourced = [
        (by_file, str(settings)),
        (read_settings(tmp_path, environment={variable: text_of(value)}), variable),
        (read_settings(tmp_path, environment={f"{variable}_FILE": str(secret)}), f"{variable}_FILE"),
        (read_settings(tmp_path, options={name: text_of(value)}), "option"),
    ]
    for read, source in sourced:
        assert getattr(read.settings, name) == (tuple(value) if isinstance(value, list) else value)
        assert read.sources[name] == source


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"FLYBALL_REGISTRY_FILE": "/no/such"},
            "FLYBALL_REGISTRY_FILE must name a file that holds the setting, got /no",
        ),
        ({"FLYBALL_REGISTRY_FILE": "/dev/null"}, "got /dev/null, which is empty"),
        ({"FLYBALL_PORT": "1", "FLYBALL_PORT_FILE": "/dev/null"}, "setting port must come from one variable"),
        ({"FLYBALL_HOME_FILE": "/dev/null"}, "got FLYBALL_HOME_FILE"),
        ({"FLYBALL_REGISTRI_FILE": "/dev/null"}, "got FLYBALL_REGISTRI_FILE"),
        ({"FLYBALL_LOG_FORMAT": "xml"}, r"setting log_format \(FLYBALL_LOG_FORMAT\) must be text or json, got 'xml'"),
        (
            {"FLYBALL_LIMIT_EVENTS": "many"},
            r"setting limit_events \(FLYBALL_LIMIT_EVENTS\): rate must be a number by s, m or h, such as .*, got .many",
        ),
        ({"FLYBALL_CONNECTIONS": "0"}, r"setting connections \(FLYBALL_CONNECTIONS\) must be from 1 to 1000000, got 0"),
        ({"FLYBALL_APP": "stars=1"}, "FLYBALL_APP must be a JSON object of the application's settings"),
    ],
)
def test_a_wrong_variable_is_refused(environment: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=message):
        load_settings(tmp_path, environment=environment)


def test_the_settings_of_the_application_come_together_from_all_sources(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[app]\nstars = 1\nlength = 1\nsize = 1\n")
    sourced = read_settings(tmp_path, None, {"FLYBALL_APP": '{"length": 2, "size": 2}'}, {"app": {"size": 3}})
    assert sourced.settings.app == {"stars": 1, "length": 2, "size": 3}
    sources = [sourced.sources[f"app.{name}"] for name in ("stars", "length", "size")]
    assert sources == [str(tmp_path / "settings.toml"), "FLYBALL_APP", "option"]


@pytest.mark.parametrize(
    "line", ['registry = "postgresql://a:s3cret@db/x?schema=y"', 'sinks = ["slack+https://h/s3cret"]']
)
def test_a_file_with_a_secret_must_be_readable_by_its_owner_alone(line: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(line)
    file.chmod(0o640)
    with pytest.raises(
        BadSetting, match=r"must be readable by its owner alone, .*, got mode 640: chmod 600"
    ) as refused:
        load_settings(tmp_path)
    assert "s3cret" not in str(refused.value)
    file.chmod(0o600)
    settings = load_settings(tmp_path)
    assert "s3cret" not in repr(settings)


def test_a_wrong_value_is_refused_without_its_secret(tmp_path: Path) -> None:
    with pytest.raises(BadSetting) as refused:
        load_settings(tmp_path, environment={"FLYBALL_PORT": "redis://ann:s3cret@cache"})
    assert "s3cret" not in str(refused.value)


def test_secrets_of_the_application_are_masked_by_their_names(tmp_path: Path) -> None:
    own = {"stars": 5, "max_tokens": 7, "api_token": "s3cret", "source": "redis://a:s3cret@cache", "title": "Shop"}
    settings = load_settings(tmp_path, options={"app": own})
    shown = {"stars": 5, "max_tokens": 7, "api_token": "***", "source": "redis://a:***@cache", "title": "Shop"}
    assert shown_own_settings(settings) == shown
    assert isinstance(settings, Settings)
    assert "s3cret" not in repr(settings)
