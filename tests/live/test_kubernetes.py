"""The manifests of `flyball init deploy` by the published schemas, and applied to a real API server.

`scripts/with-kubernetes` brings both; where the server was not built, only the schemas check.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KUBECTL, VALIDATE = (os.environ.get(name, "").split() for name in ("TEST_KUBECTL", "TEST_MANIFESTS"))
KUBECONFIG = os.environ.get("TEST_KUBECONFIG", "")
OVERLAYS = ("trial", "production")

pytestmark = [pytest.mark.live, pytest.mark.skipif(not KUBECTL, reason="no kubectl on this machine")]
needs_server = pytest.mark.skipif(not KUBECONFIG, reason="no Kubernetes API server on this machine")


def kubectl(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": KUBECONFIG or os.devnull}
    return subprocess.run(
        [*KUBECTL, *words], input=stdin, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def documents(text: str) -> list[dict[str, Any]]:
    """The objects of what kubectl prints as JSON, which is a list or one object."""
    document = json.loads(text)
    items: list[dict[str, Any]] = document.get("items", [document])
    return items


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("application")
    for words in ("new shop", "init deploy shop.py"):
        subprocess.run([sys.executable, "-m", "flyball", *words.split()], cwd=root, check=True, capture_output=True)
    return root / "deploy" / "kubernetes"


@pytest.fixture(scope="module")
def namespace(folder: Path) -> str:
    assert kubectl("apply", "-f", str(folder / "base" / "namespace.yaml")).returncode == 0
    return "shop"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_are_as_the_schemas_say_and_a_wrong_one_is_not(overlay: str, folder: Path, tmp_path: Path) -> None:
    built = kubectl("kustomize", str(folder / "overlays" / overlay))
    assert built.returncode == 0, built.stderr
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(built.stdout)
    bad.write_text(built.stdout.replace("maxReplicas: ", "maxReplicas: many # "))
    assert built.stdout.count("kind: Deployment\n") >= 3
    for file, expected in ((good, 0), (bad, 1)):
        done = subprocess.run([*VALIDATE, str(file)], capture_output=True, text=True, timeout=300, check=False)
        assert (done.returncode != 0) == expected, done.stdout + done.stderr


def test_an_edited_secret_changes_the_pods_and_nothing_else(folder: Path) -> None:
    def built() -> dict[str, str]:
        texts = kubectl("kustomize", str(folder / "overlays" / "production")).stdout.split("\n---\n")
        return {
            text.partition("\nkind: ")[2].partition("\n")[0] + str(number): text for number, text in enumerate(texts)
        }

    before, state = built(), folder / "secrets" / "state"
    former = state.read_text()
    try:
        state.write_text("redis://elsewhere.example.org:6379/0")
        after = built()
    finally:
        state.write_text(former)
    changed = sorted(name.rstrip("0123456789") for name in before if before[name] != after[name])
    assert changed == ["Deployment"] * 3 + ["Secret"]


@needs_server
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_real_api_server_takes_each_overlay(overlay: str, folder: Path, namespace: str) -> None:
    applied = kubectl("apply", "-k", str(folder / "overlays" / overlay))
    assert applied.returncode == 0, applied.stderr
    assert "would violate PodSecurity" not in applied.stderr
    assert len(applied.stdout.splitlines()) == 12
    assert kubectl("diff", "-k", str(folder / "overlays" / overlay)).returncode == 0, "applied again, nothing changes"
    scaler = documents(kubectl("-n", namespace, "get", "hpa", "serving", "-o", "json").stdout)[0]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == {"trial": (1, 2), "production": (3, 30)}[overlay]


@needs_server
def test_its_pods_pass_the_restricted_standard_and_a_careless_one_does_not(folder: Path, namespace: str) -> None:
    kubectl("apply", "-k", str(folder / "overlays" / "trial"))
    deployments = documents(kubectl("-n", namespace, "get", "deployments", "-o", "json").stdout)
    assert {each["metadata"]["name"] for each in deployments} == {"serving", "worker", "governor"}
    for deployment in deployments:
        template = deployment["spec"]["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        pod["metadata"] = {**template["metadata"], "name": deployment["metadata"]["name"]}
        admitted = kubectl("-n", namespace, "create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
        assert admitted.returncode == 0, admitted.stderr
        del pod["spec"]["securityContext"]
        refused = kubectl("-n", namespace, "create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
        assert 'violates PodSecurity "restricted' in refused.stderr


@needs_server
def test_the_budget_and_the_service_select_the_pods_that_serve(folder: Path, namespace: str) -> None:
    kubectl("apply", "-k", str(folder / "overlays" / "trial"))
    served = documents(kubectl("-n", namespace, "get", "deployment", "serving", "-o", "json").stdout)[0]
    labels = served["spec"]["template"]["metadata"]["labels"].items()
    budget = documents(kubectl("-n", namespace, "get", "pdb", "serving", "-o", "json").stdout)[0]
    service = documents(kubectl("-n", namespace, "get", "service", "shop", "-o", "json").stdout)[0]
    worker = documents(kubectl("-n", namespace, "get", "deployment", "worker", "-o", "json").stdout)[0]
    for selector in (budget["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector.items() <= labels
        assert not selector.items() <= worker["spec"]["template"]["metadata"]["labels"].items()
