"""What the files of a deployment are made from."""

import sys
from pathlib import Path

import msgspec

from flyball.app import BUILT_IN, App
from flyball.core import Refused


class DeploymentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`spec`: how the application is named in the image; `files`: its Python files, relative to `root`, the folder that
    the image is built from; `folder`: that of the deployment, relative to `root`; `image`: NAME:TAG."""

    name: str
    spec: str
    root: Path
    folder: str
    files: tuple[str, ...]
    image: str
    python: str = f"{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def kube_name(self) -> str:
        """The name as Kubernetes allows it: letters, digits and dashes."""
        return self.name.replace("_", "-").strip("-")


def deployment_facts(app: App, folder: Path, image: str = "") -> DeploymentFacts:
    """The facts of a deployment of `app` in `folder`; raises `Refused` where its files cannot be in the image."""
    spec = app.spec
    is_file = app.source is not None and spec not in BUILT_IN
    working = Path.cwd().resolve()
    root = app.source.parent.resolve() if app.source is not None and ":" not in spec and is_file else working
    absolute = folder.resolve()
    if not absolute.is_relative_to(root) or absolute == root:
        raise Refused(
            f"the folder of the deployment must be in {root}, from which the image is built, got {folder}: name "
            "another by --folder"
        )
    files = _own_files(root) if is_file else ()
    if app.source is not None and is_file and ":" not in spec:
        spec = app.source.name
    name = app.name.replace("_", "-").strip("-")
    return DeploymentFacts(
        name=app.name,
        spec=spec,
        root=root,
        folder=absolute.relative_to(root).as_posix(),
        files=files,
        image=image or f"localhost/{name}:1",
    )


def _own_files(root: Path) -> tuple[str, ...]:
    """The loaded Python files under `root`, such as the application's own, without those of an environment in it."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    loaded = {Path(file).resolve() for file in files if file}
    own = [path.relative_to(root) for path in loaded if path.is_relative_to(root) and path.suffix == ".py"]
    return tuple(sorted(path.as_posix() for path in own if not _is_environment(root, path)))


def _is_environment(root: Path, path: Path) -> bool:
    if "site-packages" in path.parts or "dist-packages" in path.parts:
        return True
    return any((root / parent / "pyvenv.cfg").exists() for parent in path.parents)
