"""The stamp of a user's own models, and the class that is found by it."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flyball.core import BadDeclaration, Refused
from flyball.models import EASE, Artifact, Blend, check_code, code_of, edits_of_learning, kind_of, model_of, params_of

FILE = """
import flyball as fb


class Own(fb.Recommender, frozen=True):
    damp: float = 0.5

    def fit(self, data, seed):
        return {"n": self.damp}

    def score(self, learned, histories):
        return learned["n"] + 1


class Holder(fb.Recommender, frozen=True):
    inner: fb.Recommender = Own()

    def score(self, learned, histories):
        return self.inner.score(learned, histories)


class Doubled:
    def transform(self, matrix):
        return matrix * 2
"""


def loaded(folder: Path, text: str = FILE, name: str = "models_of_mine") -> Any:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def artifact_of(model: Any) -> Artifact:
    return Artifact({"kind": kind_of(model), "params": params_of(model), "code": code_of(model)}, {})


def test_models_of_flyball_need_no_stamp_and_own_ones_have_one_wherever_they_are(tmp_path: Path) -> None:
    module = loaded(tmp_path)
    own = code_of(module.Own())["models_of_mine.py:Own"]
    assert code_of(EASE()) == {}
    assert code_of(Blend((module.Own(), EASE()))) == {"models_of_mine.py:Own": own}
    assert code_of(module.Holder()).keys() == {"models_of_mine.py:Own", "models_of_mine.py:Holder"}
    assert own.keys() == {"answers", "with_fit"}


def test_a_class_is_found_by_its_code_under_another_name_and_in_another_file(tmp_path: Path) -> None:
    model = Blend((loaded(tmp_path).Own(damp=0.7), EASE()))
    artifact = artifact_of(model)
    renamed = loaded(tmp_path / "new", FILE.replace("Own", "Beside"), "moved").Beside
    assert model_of(artifact, [renamed]) == Blend((renamed(damp=0.7), EASE()))
    edited = loaded(tmp_path / "edited", FILE.replace("+ 1", "- 1")).Own
    assert model_of(artifact, [edited, renamed]) == Blend((renamed(damp=0.7), EASE())), "by code before name"


def test_edited_code_is_refused_and_edited_learning_is_named(tmp_path: Path) -> None:
    module = loaded(tmp_path)
    artifact, stamps = artifact_of(module.Own()), code_of(module.Own())
    edited = loaded(tmp_path / "edited", FILE.replace("+ 1", "- 1")).Own
    message = "code of model Own must be as it was when the version was learned, digest [0-9a-f]{16}, got [0-9a-f]{16}:"
    with pytest.raises(Refused, match=message):
        model_of(artifact, [edited])
    with pytest.raises(Refused, match=message):
        check_code(stamps, [edited])
    learning = loaded(tmp_path / "learning", FILE.replace('"n": self', '"n": 2 * self')).Own
    assert model_of(artifact, [learning]) == learning()
    (line,) = edits_of_learning(stamps, [learning])
    assert line.startswith("code of Own's fit ")
    assert list(edits_of_learning(stamps, [module.Own])) == []
    assert list(edits_of_learning(stamps, [])) == [], "what is gone is reported where it is opened"


def test_a_class_that_is_gone_is_reported_with_what_to_do(tmp_path: Path) -> None:
    artifact = artifact_of(loaded(tmp_path).Own())
    message = (
        r"model Own, .* in models_of_mine\.py, got no class of that name or code: put it back .* run flyball learn"
    )
    with pytest.raises(Refused, match=message):
        model_of(artifact, [EASE])


def test_what_was_learned_before_there_were_stamps_goes_by_its_name(tmp_path: Path) -> None:
    own = loaded(tmp_path).Own
    artifact = Artifact({"kind": kind_of(own()), "params": {"damp": 0.6}}, {})
    assert model_of(artifact, [own]) == own(damp=0.6)


def test_types_that_the_file_of_an_estimator_holds_are_stamped(tmp_path: Path) -> None:
    from flyball.models import Estimator

    loaded(tmp_path)
    model = Estimator("sklearn.linear_model:Ridge", trusted=("models_of_mine.Doubled", "not_loaded.At"))
    artifact = artifact_of(model)
    assert artifact.manifest["code"].keys() == {"models_of_mine.Doubled"}
    assert model_of(artifact) == model
    loaded(tmp_path / "edited", FILE.replace("matrix * 2", "matrix * 3"))
    with pytest.raises(Refused, match="code of models_of_mine.Doubled must be as it was"):
        model_of(artifact)


def test_code_that_cannot_be_read_is_reported_where_it_would_be_stamped(tmp_path: Path) -> None:
    scope: dict[str, Any] = {"__name__": "typed_in"}
    exec(FILE, scope)
    with pytest.raises(BadDeclaration, match="code of a version must be such as can be stamped, got .* source can be"):
        code_of(scope["Own"]())
    own = loaded(tmp_path).Own
    with pytest.raises(Refused, match="got none: model Own must be a class whose source can be read"):
        model_of(artifact_of(own()), [scope["Own"]])


def test_what_is_read_once_stays_though_the_file_is_edited(tmp_path: Path) -> None:
    own = loaded(tmp_path).Own
    before = code_of(own())
    (tmp_path / "models_of_mine.py").write_text(FILE.replace("+ 1", "- 1"))
    assert code_of(own()) == before
    assert msgspec.json.decode(msgspec.json.encode(before)) == before
