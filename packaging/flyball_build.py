"""Builds the wheel by setuptools, with a software bill of materials in it.

Sources: PEP 517 (build backends in the tree), PEP 770 (`.dist-info/sboms/`), CycloneDX 1.6 (the format).
"""

import base64
import hashlib
import json
import re
import tomllib
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setuptools import build_meta as _setuptools
from setuptools.build_meta import *  # noqa: F403 - the other hooks are those of setuptools

ROOT = Path(__file__).parents[1]
_LOCKED = re.compile(
    r"^(?P<name>[a-zA-Z0-9._-]+)==(?P<version>[^\s\\]+)(?P<hashes>(?:\s*\\?\s*--hash=sha256:[0-9a-f]{64})*)", re.M
)
_MARKED = re.compile(r"^[a-zA-Z0-9._-]+")


def build_wheel(
    wheel_directory: str, config_settings: Mapping[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel into the folder and return its name."""
    name: str = _setuptools.build_wheel(wheel_directory, config_settings, metadata_directory)
    add_sbom(Path(wheel_directory) / name)
    return name


def add_sbom(wheel: Path) -> None:
    """Put the bill of materials into the wheel, and its hash into the wheel's RECORD."""
    distribution, version, *_ = wheel.name.split("-")
    info = f"{distribution}-{version}.dist-info"
    path = f"{info}/sboms/{distribution}.cdx.json"
    content = json.dumps(bill_of_materials(version), indent=1, sort_keys=True).encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    partial = wheel.with_name(f".{wheel.name}.partial")
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == f"{info}/RECORD":
                data = f"{path},sha256={digest},{len(content)}\n".encode() + data
                listed = zipfile.ZipInfo(path, entry.date_time)
                listed.external_attr = entry.external_attr
                target.writestr(listed, content, zipfile.ZIP_DEFLATED)
            target.writestr(entry, data, zipfile.ZIP_DEFLATED)
    partial.replace(wheel)


def bill_of_materials(version: str, root: Path = ROOT) -> dict[str, Any]:
    """The packages of `requirements/runtime.lock` as a CycloneDX document, each with the hashes of its files."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lock = (root / "requirements" / "runtime.lock").read_text()
    components = [component(match) for match in _LOCKED.finditer(lock)]
    named = {part["name"]: part["bom-ref"] for part in components}
    direct = [_normalized(match[0]) for text in project["dependencies"] if (match := _MARKED.match(text))]
    own = f"pkg:pypi/flyball@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, own + hashlib.sha256(lock.encode()).hexdigest())}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "flyball",
                "version": version,
                "purl": own,
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": own, "dependsOn": [named[name] for name in direct]},
            *({"ref": part["bom-ref"]} for part in components),
        ],
    }


def component(match: re.Match[str]) -> dict[str, Any]:
    """A locked package."""
    name = _normalized(match["name"])
    url = f"pkg:pypi/{name}@{match['version']}"
    hashes = re.findall(r"sha256:([0-9a-f]{64})", match["hashes"])
    return {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": match["version"],
        "purl": url,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in hashes],
    }


def _normalized(name: str) -> str:
    """The name as indexes have it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
