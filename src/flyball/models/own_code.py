"""The code of models that users write, as digests: a version is stamped with those of what it answers with.

Of Flyball's own models and of other libraries the names and versions of the packages suffice.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from flyball.core import BadDeclaration, Refused
from flyball.models.base import Recommender, kind_of, kind_of_class
from flyball.models.tabular.table import TabularModel

LEARNS = (
    *("fit", "fit_past", "update", "build", "needs_past", "reads_attributes", "predicts", "artifact_bytes", "note"),
    "offline",
)
"""Members of a model, and of a task, that only learning uses."""

TASK = "task"
"""The stamp of a task of the user's own."""

_SEARCHED = "search_space"
_DIGITS = 16


class OwnCode(msgspec.Struct, frozen=True):
    """16 hex digits each. `answers`: of all but what only learning uses; `with_fit`: of that too; "" where `unread`
    says why the source cannot be read.

    Layout, comments, docstrings, annotations and the class's name do not count, and neither do defaults of parameters:
    a version keeps the values it was learned with.
    """

    answers: str = ""
    with_fit: str = ""
    unread: str = ""


Stamp = Mapping[str, str]
"""{"answers", "with_fit"}: the digests as a manifest and the registry hold them."""

_codes: "WeakKeyDictionary[Any, OwnCode]" = WeakKeyDictionary()
"""A cache, filled when the application is loaded: its file may be edited while the process runs."""


def own_code(code: Any) -> OwnCode | None:
    """The digests of a class or a function; None for what is Flyball's, and but for models what is installed."""
    module = str(getattr(code, "__module__", ""))
    if module.startswith("flyball.") and not module.startswith("flyball.apps."):
        return None
    if code not in _codes:
        from flyball.features import is_own_code  # parses, which Flyball's own models do not need

        is_model = isinstance(code, type) and issubclass(code, Recommender | TabularModel)
        if not is_model and not is_own_code(module):
            return None
        _codes[code] = _code_of_class(code) if isinstance(code, type) else _code_of_function(code)
    return _codes[code]


def own_models_in(values: Iterable[Any]) -> tuple[type[Any], ...]:
    """The user's own classes of models among `values`: those with a `fit`, also of a task of the user's own."""
    structs = [value for value in values if isinstance(value, type) and issubclass(value, msgspec.Struct)]
    models = [value for value in structs if callable(getattr(value, "fit", None))]
    return tuple(model for model in dict.fromkeys(models) if own_code(model) is not None)


def code_of(model: Any) -> dict[str, dict[str, str]]:
    """{what its manifest calls it: {"answers", "with_fit"}} of the user's own code that the model is made of.

    That is of its class, of the classes of its parts, and of the types that the file of an estimator may hold
    (`trusted`). Raises `BadDeclaration` for code whose source cannot be read.
    """
    stamps = {}
    for name, code in _codes_of(model):
        if code.unread:
            raise BadDeclaration("code of a version", "such as can be stamped", code.unread)
        stamps[name] = {"answers": code.answers, "with_fit": code.with_fit}
    return stamps


def code_of_task(task: Any) -> dict[str, dict[str, str]]:
    """The same of a task of the user's own, by which its versions answer; nothing of one of Flyball's."""
    code = own_code(type(task))
    if code is not None and code.unread:
        raise BadDeclaration("code of a task", "such as can be stamped", code.unread)
    return {} if code is None else {TASK: {"answers": code.answers, "with_fit": code.with_fit}}


def check_task_code(stamps: Mapping[str, Stamp], task: Any) -> None:
    """Raise `Refused` where a task of the user's own was edited since."""
    code = own_code(type(task))
    if TASK in stamps and code is not None and code.answers != stamps[TASK]["answers"]:
        raise Refused(_edited(f"task {type(task).__name__}", stamps[TASK], code))


def class_of(kind: str, stamps: Mapping[str, Stamp], known: Iterable[type[Any]]) -> type[Any]:
    """The class among `known` that answers as the one that a manifest calls `kind` did.

    `stamps`: the manifest's, as `code_of` gave them. A class with the same code is the same whatever it is called and
    wherever it stands. Raises `Refused` where its code was edited or it is gone.
    """
    classes = {kind_of_class(model): model for model in known}
    same = _same_class(kind, stamps.get(kind), classes)
    if same is not None:
        return same
    file, _, model = kind.partition(":")
    for name, named in classes.items() if kind in stamps else ():
        if name.partition(":")[2] == model and (code := own_code(named)) is not None:
            raise Refused(_edited(f"model {model}", stamps[kind], code))
    raise Refused(
        f"model {model}, which the version answers with, must be in the application's file as it was in {file}, got no "
        "class of that name or code: put it back (it need not be a candidate; renamed or imported from another file it "
        "is found by its code), or run flyball learn and release a version of another model"
    )


def check_code(stamps: Mapping[str, Stamp], known: Iterable[type[Any]]) -> None:
    """Raise `Refused` for code of `stamps` that was edited since or is gone."""
    check_trusted_code(stamps)
    classes = tuple(known)
    for kind in stamps:
        if ":" in kind:
            class_of(kind, stamps, classes)


def check_trusted_code(stamps: Mapping[str, Stamp]) -> None:
    """Raise `Refused` for a type of an estimator's file whose code is loaded and was edited since."""
    for name, stamp in stamps.items():
        code = None if ":" in name or (loaded := _loaded(name)) is None else own_code(loaded)
        if code is not None and code.answers != stamp["answers"]:
            raise Refused(_edited(name, stamp, code))


def edits_of_learning(stamps: Mapping[str, Stamp], known: Iterable[type[Any]]) -> Iterator[str]:
    """A line for each class whose `fit`, or what only it uses, was edited since."""
    classes = {kind_of_class(model): model for model in known}
    for kind, stamp in stamps.items():
        same = _same_class(kind, stamp, classes) if ":" in kind else _loaded(kind)
        code = None if same is None else own_code(same)
        if code is not None and code.with_fit and code.with_fit != stamp["with_fit"]:
            yield f"code of {kind.partition(':')[2] or kind}'s fit {stamp['with_fit']}, now {code.with_fit}"


def _same_class(kind: str, stamp: Stamp | None, classes: Mapping[str, type[Any]]) -> type[Any] | None:
    """The class with the code of the stamp, the one called `kind` before others; without a stamp that one."""
    if stamp is None:
        return classes.get(kind)
    for name in sorted(classes, key=lambda name: (name != kind, name)):
        code = own_code(classes[name])
        if code is not None and code.answers and code.answers == stamp["answers"]:
            return classes[name]
    return None


def _edited(what: str, stamp: Stamp, code: OwnCode) -> str:
    got = f"got {code.answers}" if code.answers else f"got none: {code.unread}"
    return (
        f"code of {what} must be as it was when the version was learned, digest {stamp['answers']}, {got}: with other "
        "code its answers would change. Put it back as it was, or run flyball learn and release the new version"
    )


def _codes_of(model: Any) -> Iterator[tuple[str, OwnCode]]:
    for part in _models_in(model):
        if (code := own_code(type(part))) is not None:
            yield kind_of(part), code
        for name in getattr(part, "trusted", ()):
            loaded = _loaded(name)
            if loaded is not None and (trusted := own_code(loaded)) is not None:
                yield name, trusted


def _models_in(model: Any) -> Iterator[Any]:
    """The model and the models among its parts and parameters."""
    yield model
    values = [getattr(model, name) for name in getattr(model, "__struct_fields__", ())]
    members = [member for value in values for member in (value if isinstance(value, tuple) else (value,))]
    for member in (*getattr(model, "parts", ()), *members):
        if isinstance(member, Recommender | TabularModel):
            yield from _models_in(member)


def _loaded(name: str) -> Any:
    """The class or function of that name in a module that is loaded, None without one; nothing is imported."""
    module, _, attribute = name.rpartition(".")
    loaded = getattr(sys.modules.get(module), attribute, None)
    return loaded if callable(loaded) else None


def _code_of_class(kind: type[Any]) -> OwnCode:
    from flyball.features import content_of_class

    fields = (*getattr(kind, "__struct_fields__", ()), _SEARCHED)
    return _digests(lambda: content_of_class(kind, LEARNS, fields), lambda: content_of_class(kind, (), fields))


def _code_of_function(function: Any) -> OwnCode:
    from flyball.features import content_of

    return _digests(lambda: content_of(function), lambda: content_of(function))


def _digests(answers: Callable[[], str], with_fit: Callable[[], str]) -> OwnCode:
    digest = ""
    try:
        digest = _digest(answers())
        return OwnCode(digest, _digest(with_fit()))
    except BadDeclaration as error:
        return OwnCode(digest, unread=str(error))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
