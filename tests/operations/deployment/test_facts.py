"""Of which files an image is made."""

from pathlib import Path

import pytest
from tests.cinema import CINEMA

from flyball.app import load_app
from flyball.core import Refused
from flyball.operations import deployment_facts

APP = (
    CINEMA
    + """
import helpers_of_facts

app = fb.App(
    "my_cinema",
    events=[Watch],
    task=fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch, within="1d"), k=8),
    candidates={"popular": fb.Popular()},
)
"""
)


def test_the_files_of_an_application_are_those_it_imports_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "cinema_of_facts.py").write_text(APP)
    (folder / "helpers_of_facts.py").write_text("")
    (folder / "unused.py").write_text("")
    monkeypatch.chdir(tmp_path)
    facts = deployment_facts(load_app("project/cinema_of_facts.py"), Path("project/deploy"))
    assert (facts.spec, facts.folder, facts.root) == ("cinema_of_facts.py", "deploy", folder)
    assert facts.files == ("cinema_of_facts.py", "helpers_of_facts.py")
    assert (facts.kube_name, facts.image) == ("my-cinema", "localhost/my-cinema:1")
    with pytest.raises(Refused, match="must be in .*project, from which the image is built, got deploy: name another"):
        deployment_facts(load_app("project/cinema_of_facts.py"), Path("deploy"))


def test_an_application_that_comes_with_flyball_needs_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts = deployment_facts(load_app("movies"), Path("on/servers"), "registry.example.org/films:7")
    assert (facts.spec, facts.files, facts.folder) == ("movies", (), "on/servers")
    assert facts.image == "registry.example.org/films:7"
