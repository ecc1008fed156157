"""Artifacts: a folder with a manifest, lists of texts and arrays, verified whenever it is loaded.

Layout: `manifest.json`; `<name>.json`, a list of texts ("items" are the ids of a catalog by index); `<array>.npy`,
NumPy's format without pickled objects. An array of bytes named `<name>_txt` is text, such as a model in a library's own
format, and is stored as `<name>.txt`. The manifest holds the SHA-256 and the size of every other file, and a digest of
itself. `save_artifact` returns the SHA-256 of `manifest.json` too. It identifies the whole artifact: store it
elsewhere, as the registry does, and pass it to `load_artifact`.
"""

import errno
import hashlib
import io
import mmap
import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import ArtifactCorrupt, BadInput, NotFound, Refused, requirement, write_atomic
from flyball.models.base import Recommender, kind_of, models_here
from flyball.models.own_code import check_trusted_code, class_of
from flyball.models.tabular.table import TabularModel

FORMAT = 2
_MANIFEST, _ITEMS = "manifest.json", "items"
_TEXT = "_txt"
IN_MEMORY = 32 << 20
"""Files of at most this many bytes are read into memory; larger ones are mapped. Memory keeps the bytes that were
verified. A mapped file does not: if it is overwritten, the new bytes are served, and if it is shortened, reading past
its end kills the process (SIGBUS). Mapping saves memory only when several processes serve the same large arrays."""
_NAME = re.compile(r"\A[a-z][a-z0-9_]*\Z")


class Artifact(msgspec.Struct, frozen=True):
    """A loaded artifact. `arrays` are read-only, large ones backed by their files; `texts`: lists by name.

    `items`: the texts of that name, [] without a catalog; `index`: item → position.
    """

    manifest: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    items: list[str] = []
    index: dict[str, int] = {}
    texts: dict[str, list[str]] = {}


def params_of(model: Any) -> dict[str, Any]:
    """The model's parameters as plain values; a model among them is {"kind", "params"}."""
    return {name: _plain(getattr(model, name)) for name in model.__struct_fields__}


def save_artifact(
    folder: Path,
    manifest: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    items: list[str] | None = None,
    texts: Mapping[str, list[str]] | None = None,
) -> dict[str, str]:
    """Write an artifact, which appears as a whole or not at all. Returns {file name: SHA-256}, the manifest included.

    `manifest`: plain JSON values; `model_of` needs `kind` (see `kind_of`) and `params` (see `params_of`) in it.
    `items`: the ids of a catalog, None without one; `texts`: further lists by name.
    Raises `BadInput` when `folder` exists, for an array name that is not a lower-case word and for arrays of objects.
    """
    if folder.exists():
        raise BadInput("artifact folder", "new: artifacts are never overwritten", str(folder))
    named = {**(texts or {}), **({} if items is None else {_ITEMS: items})}
    contents = {f"{_checked_name('list', name)}.json": msgspec.json.encode(value) for name, value in named.items()}
    if _MANIFEST in contents:
        raise BadInput("name of a list of texts", "other than manifest", "manifest")
    for name, array in arrays.items():
        if _is_text(name, array):
            contents[f"{name.removesuffix(_TEXT)}.txt"] = array.tobytes()
        else:
            contents[f"{name}.npy"] = _encode(name, array)
    files = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in contents.items()}
    described = {**manifest, "format": FORMAT, "files": files}
    contents[_MANIFEST] = msgspec.json.format(
        msgspec.json.encode({**described, "digest": _digest(described)}), indent=1
    )
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    for name, data in contents.items():
        write_atomic(partial / name, data)
        (partial / name).chmod(0o400)  # a file in use may be mapped: it must not be shortened
    os.replace(partial, folder)
    return {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}


def load_artifact(folder: Path, expected: Mapping[str, str] | None = None, in_memory: int | None = None) -> Artifact:
    """Read and verify an artifact. Raises `ArtifactCorrupt` for anything missing, truncated, changed or swapped.

    `expected`: what `save_artifact` returned, stored elsewhere. With it, an artifact that was replaced as a whole by
    another valid one is refused too. `in_memory`: files larger than this many bytes are mapped (default `IN_MEMORY`).
    """
    largest = IN_MEMORY if in_memory is None else in_memory
    if folder.is_symlink():
        raise ArtifactCorrupt(str(folder), "a folder", "a link to another place")
    raw = _read(folder / _MANIFEST, largest)
    manifest = _read_manifest(folder / _MANIFEST, bytes(raw))
    if expected is not None:
        _compare(folder / _MANIFEST, hashlib.sha256(raw).hexdigest(), expected.get(_MANIFEST, "no such file"))
    arrays: dict[str, NDArray[Any]] = {}
    texts: dict[str, list[str]] = {}
    for name, entry in manifest["files"].items():
        path = folder / name
        data = _read(path, largest)
        if len(data) != entry["size"]:
            raise ArtifactCorrupt(str(path), f"{entry['size']} bytes long", f"{len(data)} bytes")
        _compare(path, hashlib.sha256(data).hexdigest(), entry["sha256"])
        if name.endswith(".json"):
            texts[name.removesuffix(".json")] = msgspec.json.decode(data, type=list[str])
        elif name.endswith(".txt"):
            arrays[name.removesuffix(".txt") + _TEXT] = np.frombuffer(data, np.uint8)
        else:
            arrays[name.removesuffix(".npy")] = _decode(path, data)
    items = texts.get(_ITEMS, [])
    return Artifact(manifest, arrays, items, {item: position for position, item in enumerate(items)}, texts)


def model_of(artifact: Artifact, known: Iterable[type[Any]] = ()) -> Any:
    """The model with its parameters, by the manifest's `kind` and `params`.

    Only Flyball's own classes and those in `known` (the application's own) are built, so that a manifest cannot
    cause an import. Raises `NotFound` for any other kind, `ArtifactCorrupt` for parameters that do not fit the class,
    `Refused` for a class of the application that is gone or whose code differs from the manifest's `code`.
    """
    kind, params = str(artifact.manifest.get("kind")), artifact.manifest.get("params", {})
    stamps, own = artifact.manifest.get("code", {}), tuple(known)
    check_trusted_code(stamps)
    classes: dict[str, type[Any]] = {**models_here()}
    if kind not in models_here():
        from flyball.models.tabular.own import TABULAR_MODELS  # here: a recommender does not need them

        classes |= TABULAR_MODELS
    classes |= {named: class_of(named, stamps, own) for named in _kinds_in(kind, params) if ":" in named}
    return _build(kind, params, classes)


def _kinds_in(kind: str, params: Mapping[str, Any]) -> set[str]:
    """The kinds of a model and of those among its parameters."""
    kinds, waiting = {kind}, list(params.values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif _holds_models(value):
            kinds |= _kinds_in(str(value["kind"]), value["params"])
    return kinds


def _build(kind: str, params: Mapping[str, Any], classes: Mapping[str, type[Any]]) -> Any:
    if kind not in classes:
        raise NotFound("model", kind, classes)
    try:
        inner = {name: _models_in(value, classes) for name, value in params.items() if _holds_models(value)}
        outer = msgspec.convert({name: value for name, value in params.items() if name not in inner}, classes[kind])
        return msgspec.structs.replace(outer, **inner)
    except (msgspec.ValidationError, TypeError, AttributeError) as error:
        raise _parameter_fault(kind, params, str(error)) from None


def _parameter_fault(kind: str, params: Mapping[str, Any], message: str) -> ArtifactCorrupt:
    """Which parameter of the manifest does not fit the model's class, in plain words. `message`: msgspec's."""
    at = re.search(r"at `\$\.(\w+)|missing required field `(\w+)`", message)
    name = at and (at[1] or at[2])
    if not name:
        return ArtifactCorrupt(f"{_MANIFEST}, parameters of {kind},", "those that the model takes", repr(dict(params)))
    where = f"{_MANIFEST}, parameter {name} of {kind},"
    if name not in params:
        return ArtifactCorrupt(where, "given", "nothing")
    return ArtifactCorrupt(where, requirement(message), repr(params[name]))


def _plain(value: Any) -> Any:
    if isinstance(value, Recommender | TabularModel):
        return {"kind": kind_of(value), "params": params_of(value)}
    if isinstance(value, tuple) and any(isinstance(element, Recommender | TabularModel) for element in value):
        return [_plain(element) for element in value]
    return msgspec.to_builtins(value)


def _holds_models(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_holds_models(element) for element in value)
    return isinstance(value, dict) and value.keys() == {"kind", "params"}


def _models_in(value: Any, classes: Mapping[str, type[Any]]) -> Any:
    if isinstance(value, list):
        return tuple(_models_in(element, classes) for element in value)
    return _build(str(value["kind"]), value["params"], classes)


def _is_text(name: str, array: NDArray[Any]) -> bool:
    return name.endswith(_TEXT) and array.dtype == np.uint8 and array.ndim == 1 and len(array) > 0


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(manifest, order="sorted")).hexdigest()


def _checked_name(what: str, name: str) -> str:
    if not _NAME.match(name):
        raise BadInput(f"{what} name", "a lower-case word", name)
    return name


def _encode(name: str, array: NDArray[Any]) -> bytes:
    _checked_name("array", name)
    if array.dtype.hasobject:
        raise BadInput(f"array {name}", "of numbers", str(array.dtype))
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def _read(path: Path, in_memory: int) -> memoryview:
    """The file's bytes, read-only. Read or mapped, they start at a page boundary, so arrays are aligned the same."""
    try:
        with open(path, "rb", opener=_without_links) as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise ArtifactCorrupt(str(path), "a file", "something else of that name")
            size = state.st_size
            if size > in_memory:
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            memory = memoryview(mmap.mmap(-1, size))
            size_read = file.readinto(memory)
            return memory[:size_read].toreadonly()
    except FileNotFoundError:
        raise ArtifactCorrupt(str(path), "present", "no such file") from None
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            raise ArtifactCorrupt(str(path), "a file in this folder", "a link to another place") from None
        raise ArtifactCorrupt(str(path), "a readable file", str(error)) from None


def _without_links(path: str, flags: int) -> int:
    """Opens a file of an artifact, which may be no link; waits for no pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _read_manifest(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        manifest = msgspec.json.decode(raw, type=dict[str, Any])
        files = msgspec.convert(manifest.get("files"), dict[str, dict[str, str | int]])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise ArtifactCorrupt(str(path), "a manifest in JSON that lists the files", _beginning(raw)) from None
    digest = manifest.pop("digest", None)
    _compare(path, _digest(manifest), str(digest))
    if manifest.get("format") != FORMAT:
        raise Refused(
            f"artifact {path.parent} must be of format {FORMAT}, got {manifest.get('format')!r}: it was written by "
            "another version of Flyball; run flyball learn to make a new one"
        )
    for name in files:
        stem, dot, kind = name.partition(".")
        if name == _MANIFEST or not (dot and kind in ("npy", "txt", "json") and _NAME.match(stem)):
            raise ArtifactCorrupt(str(path), "naming only lists of texts, arrays and texts", name)
    return {**manifest, "digest": digest}


def _beginning(data: bytes | memoryview) -> str:
    """What a file holds, for a message.

    >>> _beginning(b""), _beginning(b"{}")
    ('an empty file', "2 bytes that begin with b'{}'")
    """
    return f"{len(data):,} bytes that begin with {bytes(data[:20])!r}" if len(data) else "an empty file"


def _compare(path: Path, got: str, must: str) -> None:
    if got != must:
        raise ArtifactCorrupt(str(path), f"sha256 {must}", got)


def _decode(path: Path, data: memoryview) -> NDArray[Any]:
    """The array inside the bytes of a .npy file, without a copy: exactly the bytes that were verified."""
    stream = io.BytesIO(data[:4096])
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        if dtype.hasobject or fortran:
            order = "Fortran" if fortran else "C"
            raise ArtifactCorrupt(str(path), "a plain C-ordered array", f"elements of {dtype} in {order} order")
        return np.ndarray(shape, dtype, buffer=data, offset=stream.tell())
    except (ValueError, TypeError):
        must = "a plain C-ordered array in NumPy's format, complete"
        raise ArtifactCorrupt(str(path), must, _beginning(data)) from None
