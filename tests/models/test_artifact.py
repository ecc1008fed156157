"""Artifacts come back bit for bit or are refused."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from flyball.core import ArtifactCorrupt, BadInput, Refused
from flyball.models import (
    MODELS,
    Blend,
    Histories,
    Interactions,
    ItemKNN,
    Learned,
    Pruned,
    Recommender,
    kind_of,
    load_artifact,
    model_of,
    params_of,
    save_artifact,
)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    folder = tmp_path / "v1"
    model = ItemKNN(k=3)
    arrays = {"near": np.arange(6, dtype=np.int32), "similarities": np.ones((2, 3), dtype=np.float32)}
    manifest = {"kind": kind_of(model), "params": params_of(model), "groups": ["é"]}
    return folder, save_artifact(folder, manifest, arrays, ["a", "b é"])


def _rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_it_comes_back(saved: tuple[Path, dict[str, str]]) -> None:
    folder, hashes = saved
    artifact = load_artifact(folder, hashes)
    assert artifact.items == ["a", "b é"]
    assert artifact.index == {"a": 0, "b é": 1}
    assert artifact.manifest["groups"] == ["é"]
    assert model_of(artifact) == ItemKNN(k=3)
    assert artifact.arrays["similarities"].shape == (2, 3)
    with pytest.raises(ValueError, match="read-only"):
        artifact.arrays["near"][0] = 7
    assert set(hashes) == {"manifest.json", "items.json", "near.npy", "similarities.npy"}


def test_what_was_verified_stays_whatever_is_written_to_the_files(saved: tuple[Path, dict[str, str]]) -> None:
    folder, hashes = saved
    artifact, mapped = load_artifact(folder, hashes), load_artifact(folder, hashes, in_memory=0)
    for name in hashes:
        content = (folder / name).read_bytes()
        (folder / name).chmod(0o644)
        with open(folder / name, "r+b") as file:
            file.write(bytes(len(content)))
    assert artifact.arrays["near"].tolist() == [0, 1, 2, 3, 4, 5]
    assert mapped.arrays["near"].tolist() == [0] * 6
    for name in hashes:
        os.truncate(folder / name, 0)
    assert artifact.arrays["near"].tolist() == [0, 1, 2, 3, 4, 5]  # a map would end this process here
    assert {one.ctypes.data % 64 for one in (*artifact.arrays.values(), *mapped.arrays.values())} == {0}


@pytest.mark.parametrize("name", ["manifest.json", "items.json", "near.npy", "similarities.npy"])
class TestDamage:
    def test_missing(self, saved: tuple[Path, dict[str, str]], name: str) -> None:
        (saved[0] / name).unlink()
        with pytest.raises(ArtifactCorrupt, match="no such file"):
            load_artifact(saved[0])

    @pytest.mark.parametrize("left", [0, 1, -1])
    def test_truncated(self, saved: tuple[Path, dict[str, str]], name: str, left: int) -> None:
        _rewrite(saved[0] / name, (saved[0] / name).read_bytes()[:left])
        with pytest.raises(ArtifactCorrupt):
            load_artifact(saved[0])

    def test_longer(self, saved: tuple[Path, dict[str, str]], name: str) -> None:
        _rewrite(saved[0] / name, (saved[0] / name).read_bytes() + b"x")
        with pytest.raises(ArtifactCorrupt):
            load_artifact(saved[0])

    def test_every_byte_matters(self, saved: tuple[Path, dict[str, str]], name: str) -> None:
        whole = (saved[0] / name).read_bytes()
        for at in range(0, len(whole), 7):
            if whole[at : at + 1].isspace() and name == "manifest.json":
                continue  # layout between JSON values carries no meaning; the pinned hash below refuses it too
            _rewrite(saved[0] / name, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(ArtifactCorrupt):
                load_artifact(saved[0])

    def test_swapped(self, saved: tuple[Path, dict[str, str]], name: str, tmp_path: Path) -> None:
        other = tmp_path / "v2"
        save_artifact(other, {}, {"near": np.zeros(6, dtype=np.int32), "similarities": np.zeros((2, 3))}, ["a", "c"])
        _rewrite(saved[0] / name, (other / name).read_bytes())
        with pytest.raises(ArtifactCorrupt):
            load_artifact(saved[0])


def test_an_artifact_replaced_as_a_whole_is_refused_by_its_pin(
    saved: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, hashes = saved
    other = tmp_path / "v2"
    save_artifact(other, {"kind": kind_of(ItemKNN())}, {"near": np.zeros(6, dtype=np.int32)}, ["a", "c"])
    shutil.rmtree(folder)
    other.rename(folder)
    load_artifact(folder)
    with pytest.raises(ArtifactCorrupt, match="manifest"):
        load_artifact(folder, hashes)


def test_a_link_to_another_place_is_not_followed(saved: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    folder, hashes = saved
    name = next(name for name in hashes if name.endswith(".npy"))
    outside = tmp_path / "outside.npy"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(ArtifactCorrupt, match=f"{name} must be a file in this folder, got a link to another place"):
        load_artifact(folder, hashes)
    (folder / name).unlink()
    os.mkfifo(folder / name)  # a pipe would be waited for
    with pytest.raises(ArtifactCorrupt, match="must be a file, got something else of that name"):
        load_artifact(folder, hashes)
    (folder / name).unlink()
    outside.rename(folder / name)
    (tmp_path / "linked").symlink_to(folder)
    with pytest.raises(ArtifactCorrupt, match="linked must be a folder, got a link"):
        load_artifact(tmp_path / "linked", hashes)
    load_artifact(folder, hashes)


def test_a_manifest_cannot_name_files_outside(saved: tuple[Path, dict[str, str]]) -> None:
    from flyball.models.artifact import _digest

    path = saved[0] / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"]["../../secret.npy"] = manifest["files"]["near.npy"]
    del manifest["digest"]
    _rewrite(path, json.dumps({**manifest, "digest": _digest(manifest)}).encode())
    with pytest.raises(ArtifactCorrupt, match="naming only"):
        load_artifact(saved[0])


class Own(Recommender, frozen=True):
    strength: int = 1

    def fit(self, data: Interactions, seed: int) -> dict[str, np.ndarray]:
        return {}

    def score(self, learned: Learned, histories: Histories) -> np.ndarray:
        return np.empty((0, 0), dtype=np.float32)


def test_only_known_classes_are_built(tmp_path: Path) -> None:
    manifest = {"kind": kind_of(Own()), "params": {"strength": 5}}
    save_artifact(tmp_path / "own", manifest, {}, [])
    artifact = load_artifact(tmp_path / "own")
    with pytest.raises(Refused, match=r"model Own, which the version answers with, must be in the application's file"):
        model_of(artifact)
    assert model_of(artifact, [Own]) == Own(5)
    save_artifact(tmp_path / "bad", {**manifest, "params": {"strength": "strong"}}, {}, [])
    message = r"artifact file manifest.json, parameter strength of \S+Own, must be an integer, got 'strong': restore it"
    with pytest.raises(ArtifactCorrupt, match=message):
        model_of(load_artifact(tmp_path / "bad"), [Own])


@pytest.mark.parametrize(
    ("raw", "got"), [(b"", "an empty file"), (b"{half", r"5 bytes that begin with b'{half'"), (b"{}", "2 bytes that")]
)
def test_a_manifest_that_is_none_is_refused_in_plain_words(
    saved: tuple[Path, dict[str, str]], raw: bytes, got: str
) -> None:
    _rewrite(saved[0] / "manifest.json", raw)
    message = "must be a manifest in JSON that lists the files, got " + got if raw else "manifest.json must be"
    with pytest.raises(ArtifactCorrupt, match=message):
        load_artifact(saved[0])


def test_kinds_are_names_of_the_table_or_files_of_the_user(tmp_path: Path) -> None:
    assert {kind_of(model()) for model in MODELS.values()} == MODELS.keys()
    assert kind_of(Own()) == "test_artifact.py:Own"

    class EASE(Recommender, frozen=True):
        kind = "ease"

    assert kind_of(EASE()) == "test_artifact.py:" + EASE.__qualname__, "a kind is not taken on trust"


def test_models_inside_models_come_back_and_no_catalog_is_needed(tmp_path: Path) -> None:
    model = Blend((Own(3), Pruned(ItemKNN(k=7))))
    manifest = {"kind": kind_of(model), "params": params_of(model)}
    save_artifact(tmp_path / "v", manifest, {"weights": np.ones(2)}, texts={"labels": ["no", "yes"], "empty": []})
    artifact = load_artifact(tmp_path / "v")
    assert (artifact.items, artifact.index, artifact.texts) == ([], {}, {"labels": ["no", "yes"], "empty": []})
    assert model_of(artifact, [Own]) == model
    with pytest.raises(Refused, match=r"as it was in test_artifact\.py"):
        model_of(artifact)
    with pytest.raises(BadInput, match="other than manifest"):
        save_artifact(tmp_path / "w", {}, {}, texts={"manifest": []})


def test_an_artifact_of_another_format_is_refused_with_what_to_do(saved: tuple[Path, dict[str, str]]) -> None:
    from flyball.models.artifact import _digest

    path = saved[0] / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["digest"]
    old = {**manifest, "format": 1}
    _rewrite(path, json.dumps({**old, "digest": _digest(old)}).encode())
    with pytest.raises(Refused, match=r"must be of format 2, got 1: .* run flyball learn"):
        load_artifact(saved[0])


def test_it_is_never_overwritten_and_holds_only_numbers(saved: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="never overwritten"):
        save_artifact(saved[0], {}, {}, [])
    with pytest.raises(BadInput, match="numbers"):
        save_artifact(tmp_path / "objects", {}, {"things": np.array([{}], dtype=object)}, [])
    with pytest.raises(BadInput, match="word"):
        save_artifact(tmp_path / "names", {}, {"../up": np.zeros(1)}, [])
    assert not (tmp_path / "objects").exists()


@pytest.mark.parametrize(
    "array", [np.float64(3.5), np.zeros((0, 4)), np.zeros(3, dtype=bool), np.arange(4, dtype=np.uint64)]
)
def test_odd_shapes_survive(array: np.ndarray, tmp_path: Path) -> None:
    save_artifact(tmp_path / "a", {}, {"odd": np.asarray(array)}, [])
    back = load_artifact(tmp_path / "a").arrays["odd"]
    assert back.dtype == np.asarray(array).dtype
    assert np.array_equal(back, array)
