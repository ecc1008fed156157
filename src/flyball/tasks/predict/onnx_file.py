"""A version of a prediction task as one ONNX file for other programs."""

from collections.abc import Mapping
from typing import Any

from flyball.models import Artifact, onnx_of
from flyball.tasks.predict.columns import columns_in, vocabularies_in
from flyball.tasks.predict.declaration import Predict


def onnx_file(task: Predict, model: Any, artifact: Artifact, about: Mapping[str, str]) -> bytes:
    """The prediction of a version from the columns of its row, as ONNX; see `onnx_of` of models.

    Reading features, adapting intervals and deciding are not part of the file. Raises `Refused` for a
    model without an ONNX form.
    """
    columns = columns_in(artifact.texts)
    vocabularies = vocabularies_in(artifact.texts, columns)
    return onnx_of(model, artifact.arrays, columns, vocabularies, task.target_kind, about)
