"""The wheel lists what it depends on: every locked package with its hashes, in a document that installers verify."""

import base64
import csv
import hashlib
import importlib.util
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def build() -> Any:
    spec = importlib.util.spec_from_file_location("flyball_build", ROOT / "packaging" / "flyball_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_locked_package_is_listed_with_all_of_its_hashes(build: Any) -> None:
    expected: dict[str, set[str]] = {}
    name = ""
    for line in (
        (ROOT / "requirements" / "runtime.lock").read_text().splitlines()
    ):  # a line at a time, without a pattern
        if "==" in line:
            name = line.split()[0]
            expected[name] = set()
        elif "--hash=sha256:" in line:
            expected[name].add(line.split("sha256:")[1].split()[0])
    document = build.bill_of_materials("1.2")
    listed = {f"{part['name']}=={part['version']}": part["hashes"] for part in document["components"]}
    assert {name: {entry["content"] for entry in hashes} for name, hashes in listed.items()} == expected
    assert len({part["bom-ref"] for part in document["components"]}) == len(expected)
    direct = document["dependencies"][0]
    assert direct["ref"] == "pkg:pypi/flyball@1.2"
    declared = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    assert declared is not None
    assert len(direct["dependsOn"]) == declared[1].count(">=")


def test_it_is_added_to_the_wheel_and_its_record(build: Any, tmp_path: Path) -> None:
    wheel = tmp_path / "flyball-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("flyball/__init__.py", "")
        archive.writestr("flyball-1.2.dist-info/RECORD", "flyball/__init__.py,,0\n")
    build.add_sbom(wheel)
    path = "flyball-1.2.dist-info/sboms/flyball.cdx.json"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.namelist() == ["flyball/__init__.py", path, "flyball-1.2.dist-info/RECORD"]
        content = archive.read(path)
        record = {
            row[0]: row[1:] for row in csv.reader(io.StringIO(archive.read("flyball-1.2.dist-info/RECORD").decode()))
        }
    assert json.loads(content) == build.bill_of_materials("1.2")
    algorithm, _, digest = record[path][0].partition("=")
    assert algorithm == "sha256"
    assert base64.urlsafe_b64decode(digest + "=") == hashlib.sha256(content).digest()
    assert record[path][1] == str(len(content))
    assert record["flyball/__init__.py"] == ["", "0"]
    assert [file.name for file in tmp_path.iterdir()] == [wheel.name]
