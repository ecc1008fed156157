"""`flyball init deploy`: the files that run an application in containers, on Kubernetes and under systemd."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Set, load, settings_for
from flyball.cli.sections import group
from flyball.cli.show import say, show_json

commands = group("Files to start from: deploy.")


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="init")


@commands.command()
def deploy(
    app: AppName,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write them.")] = Path("deploy"),
    image: Annotated[str, typer.Option("--image", help="NAME:TAG of the image.", show_default="localhost/APP:1")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that differ; passwords stay as they are.")
    ] = False,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Write the files that run it in containers, on Kubernetes and under systemd.

    They are an image file, a compose file with all servers and a load balancer, manifests with overlays for kustomize,
    and a unit; the home's settings say which sinks and traces the network lets through. Files that are there and differ
    are kept, and named. README.md in the folder says what to do next.
    """
    from flyball.operations import deployment_facts, deployment_files, write_files

    settings = settings_for(app, home, chosen)
    declared = load(app, settings.app)
    facts = deployment_facts(declared, folder, image)
    done = write_files(facts, deployment_files(declared, facts, settings), force)
    if json:
        show_json(done)
        return
    for word, paths in (("wrote", done.written), ("replaced", done.replaced), ("kept", done.kept)):
        for path in paths:
            say(f"{word} {folder / path}" + (", which differs: --force replaces it" if word == "kept" else ""))
    if done.unchanged:
        say(f"{len(done.unchanged)} are as they would be written")
    build = f"podman build --format docker -f {folder}/Containerfile -t {facts.image} ."
    say(f"next:  read {folder}/README.md, then\n       {build}")
