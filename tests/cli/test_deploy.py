"""`flyball init deploy`: says what it wrote, and changes nothing that someone changed."""

from pathlib import Path

from tests.cli.conftest import Run


def test_it_writes_says_what_is_next_and_keeps_what_was_changed(shop: Run) -> None:
    first = shop("init", "deploy", "shop.py", "--folder", "servers")
    assert first.code == 0
    assert "wrote servers/kubernetes/overlays/production/kustomization.yaml" in first.out
    assert "podman build --format docker -f servers/Containerfile -t localhost/shop:1 ." in first.out
    assert "COPY shop.py shop.py" in Path("servers/Containerfile").read_text()
    again = shop("init", "deploy", "shop.py", "--folder", "servers")
    assert "wrote" not in again.out
    assert "are as they would be written" in again.out
    Path("servers/Containerfile").write_text("FROM mine\n")
    kept = shop("init", "deploy", "shop.py", "--folder", "servers")
    assert "kept servers/Containerfile, which differs: --force replaces it" in kept.out
    assert shop("init", "deploy", "shop.py", "--folder", "servers", "--json").last["kept"] == ["Containerfile"]
    forced = shop("init", "deploy", "shop.py", "--folder", "servers", "--force", "--image", "localhost/shop:1")
    assert "replaced servers/Containerfile" in forced.out


def test_a_folder_outside_the_application_is_refused(shop: Run, tmp_path: Path) -> None:
    refused = shop("init", "deploy", "shop.py", "--folder", "../servers")
    assert refused.code == 1
    assert "the folder of the deployment must be in" in refused.err
