"""The texts of a deployment: complete, in agreement with each other and with the settings that exist."""

import configparser
import json
import re
from pathlib import Path

import pytest

from flyball.app import load_app
from flyball.operations.deployment import DeploymentFacts, deployment_files
from flyball.operations.deployment.rendering import PASSWORDS, SECRET_STORES, secret_files
from flyball.settings import SETTING_NAMES, STORES, load_settings

SINKS = [
    "log://",
    "slack+https://hooks.slack.com/services/T1/B2/x",
    "smtp://mail.example.org?from=a@example.org&to=b@example.org",
    "smtps://mail.example.org?from=a@example.org&to=b@example.org",
    "alertmanager+http://alerts.example.org:9095",
]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("root")
    (folder / "films.py").write_text("import flyball\n")
    facts = DeploymentFacts(
        name="films",
        spec="films.py",
        root=folder,
        folder="on/servers",
        files=("films.py",),
        image="reg.example.org/films:7",
    )
    options = {"sinks": SINKS, "traces": "otlp+http://collector.example.org:4318?share=0.1"}
    return deployment_files(load_app("movies"), facts, load_settings(folder / "home", options=options))


def test_no_name_is_left_to_fill_in(texts: dict[str, str]) -> None:
    assert not [path for path, text in texts.items() if "@@" in text + path]
    assert len(texts) > 24


def test_every_variable_is_a_setting_and_its_value_is_one(texts: dict[str, str], tmp_path: Path) -> None:
    secrets = {"FLYBALL_" + store.upper() + "_FILE" for store in SECRET_STORES}
    for path in texts:
        names = set(re.findall(r"FLYBALL_[A-Z_]+[A-Z]", texts[path]))
        known = {f"FLYBALL_{name.upper()}" for name in SETTING_NAMES}
        assert names - {"FLYBALL_"} <= known | secrets, path
    values = dict(re.findall(r"^(FLYBALL_\w+)=(.*)$", texts["kubernetes/base/settings.env"], re.M))
    values |= dict(re.findall(r"(FLYBALL_[A-Z]+): (\S+)$", texts["compose/compose.yaml"], re.M))
    values |= dict(re.findall(r"(FLYBALL_[A-Z]+), value: ([^/ ]+) }", texts["kubernetes/base/serving.yaml"]))
    settings = load_settings(tmp_path, environment={name: value.strip('"') for name, value in values.items()})
    assert settings.processes == ("serving",)
    assert settings.history.startswith("s3://")


@pytest.mark.parametrize("path", ["kubernetes/base/worker.yaml", "compose/compose.yaml"])
def test_every_store_that_machines_share_is_at_a_server(path: str, texts: dict[str, str]) -> None:
    named = texts[path] + texts["kubernetes/base/settings.env"]
    missing = [store for store in STORES if not re.search(rf"FLYBALL_{store.upper()}(_FILE)?\b", named)]
    assert missing == ["apply_delays"], "each machine has its own"


def test_each_role_has_its_own_deployment(texts: dict[str, str]) -> None:
    for role in ("serving", "worker", "governor"):
        text = texts[f"kubernetes/base/{role}.yaml"]
        assert f"{{ name: FLYBALL_PROCESSES, value: {role} }}" in text
        assert f"- {role}.yaml\n" in texts["kubernetes/base/kustomization.yaml"]
        assert f"FLYBALL_PROCESSES: {role}" in texts["compose/compose.yaml"]
    assert "replicas: 1" not in texts["kubernetes/base/serving.yaml"], "the autoscaler says how many"


def test_the_image_holds_the_application_and_is_named_alike(texts: dict[str, str]) -> None:
    assert "COPY films.py films.py\n" in texts["Containerfile"]
    assert "COPY on/servers/requirements.txt" in texts["Containerfile"]
    assert 'CMD ["up", "films.py"]' in texts["Containerfile"]
    assert "image: reg.example.org/films:7\n" in texts["compose/compose.yaml"]
    assert "context: ../../.., dockerfile: on/servers/Containerfile" in texts["compose/compose.yaml"]
    assert 'newName: reg.example.org/films\n    newTag: "7"\n' in texts["kubernetes/base/kustomization.yaml"]


def test_the_unit_and_the_dashboard_can_be_read(texts: dict[str, str]) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(texts["systemd/flyball-films.service"])
    assert unit["Service"]["ExecStart"] == "/srv/films/.venv/bin/flyball up films.py"
    assert json.loads(texts["compose/grafana/dashboard.json"])["panels"]
    assert 'job="movies"' in texts["compose/rules.yml"]


def test_the_network_lets_through_what_the_settings_send_to(texts: dict[str, str]) -> None:
    listed = re.findall(r"- { port: (\d+), protocol: TCP } # (.*)", texts["kubernetes/base/network.yaml"])
    assert listed == [
        ("465", "smtps"),
        ("587", "smtp"),
        ("4318", "otlp+http"),
        ("9095", "alertmanager+http"),
    ], "that of Slack is open for object stores"


def test_who_follows_the_log_and_who_governs_has_another_that_takes_over(texts: dict[str, str]) -> None:
    for role in ("worker", "governor"):
        text = texts[f"kubernetes/base/{role}.yaml"]
        assert "  replicas: 2\n  strategy: { type: RollingUpdate," in text
    for role in ("serving", "worker", "governor"):
        assert "topologyKey: kubernetes.io/hostname" in texts[f"kubernetes/base/{role}.yaml"]


def test_a_single_replica_blocks_no_drain(texts: dict[str, str]) -> None:
    assert "maxUnavailable: 1" in texts["kubernetes/base/disruption.yaml"]
    assert not [path for path, text in texts.items() if "minAvailable" in text]


def test_no_secret_reaches_the_builder_of_the_image(texts: dict[str, str]) -> None:
    ignored = texts["Containerfile.dockerignore"].splitlines()
    assert {"**/secrets", ".git", "**/.flyball"} <= set(ignored)


def test_secrets_are_named_by_their_content_so_that_a_change_starts_pods_again(texts: dict[str, str]) -> None:
    facts = DeploymentFacts(
        name="films", spec="films.py", root=Path(), folder="deploy", files=("films.py",), image="films:7"
    )
    secrets = secret_files(facts, dict.fromkeys(PASSWORDS, "x"))
    generated = secrets["kubernetes/secrets/kustomization.yaml"]
    (listed,) = re.findall(r"files: \[(.*)\]", generated)
    assert listed.split(", ") == list(SECRET_STORES)
    assert {f"kubernetes/secrets/{store}" for store in SECRET_STORES} <= set(secrets)
    assert "  - ../secrets\n" in texts["kubernetes/base/kustomization.yaml"]
