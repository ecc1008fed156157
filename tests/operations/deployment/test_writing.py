"""Files of a deployment: written where missing, kept where changed, and passwords made once."""

from pathlib import Path

import pytest

from flyball.operations.deployment import DeploymentFacts, WrittenFiles, write_files


def facts(root: Path) -> DeploymentFacts:
    return DeploymentFacts(
        name="my_shop", spec="shop.py", root=root, folder="deploy", files=(), image="localhost/shop:1"
    )


def test_what_is_changed_is_kept_and_named_until_it_is_to_be_replaced(tmp_path: Path) -> None:
    texts = {"a/one.yaml": "1\n", "two.yaml": "2\n"}
    first = write_files(facts(tmp_path), texts)
    assert {"a/one.yaml", "two.yaml", "compose/secrets/registry", "kubernetes/secrets/events"} <= set(first.written)
    assert not first.kept
    again = write_files(facts(tmp_path), texts)
    assert again == WrittenFiles([], [], [*texts, *(path for path in first.written if "secrets" in path)], [])
    (tmp_path / "deploy" / "two.yaml").write_text("mine\n")
    third = write_files(facts(tmp_path), texts)
    assert (third.kept, third.written) == (["two.yaml"], [])
    assert (tmp_path / "deploy" / "two.yaml").read_text() == "mine\n"
    assert write_files(facts(tmp_path), texts, replace=True).replaced == ["two.yaml"]
    assert (tmp_path / "deploy" / "two.yaml").read_text() == "2\n"


def test_passwords_are_made_once_and_agree(tmp_path: Path) -> None:
    write_files(facts(tmp_path), {})
    folder = tmp_path / "deploy" / "compose" / "secrets"
    before = {path.name: path.read_text() for path in folder.iterdir()}
    (folder / "registry").unlink()
    write_files(facts(tmp_path), {}, replace=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert f":{before['postgres_password']}@postgres:5432/flyball?schema=my_shop" in before["registry"]
    assert before["state_password"] in before["state"]
    assert before["state_password"] in before["redis.conf"]
    assert before["objects_secret"] in before["objects.env"]
    assert before["objects_secret"] in before["objects.json"]
    passwords = [before[name] for name in before if name.endswith("_password")]
    assert len(set(passwords)) == 3
    assert min(map(len, passwords)) == 32
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("name", "kube_name"), [("my_shop", "my-shop"), ("shop-", "shop"), ("shop2", "shop2")])
def test_names_are_as_kubernetes_allows_them(name: str, kube_name: str, tmp_path: Path) -> None:
    made = DeploymentFacts(name=name, spec="shop.py", root=tmp_path, folder="deploy", files=(), image="i:1")
    assert made.kube_name == kube_name
