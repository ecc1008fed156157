"""A version's ONNX file answers a request as the version does, from the columns of its row."""

import random
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tests.tasks.predict import parcels

from flyball.app import load_app
from flyball.core import ManualClock, new_id
from flyball.learning import learn
from flyball.models import ONNX_TOLERANCE, load_artifact, model_of
from flyball.runtime import Runtime, load_settings
from flyball.simulation import ingest_pieces
from flyball.tasks import request_of
from flyball.tasks.predict.online import PredictPipeline

FILE = Path(parcels.__file__)
START_US = 1_767_225_600_000_000
NOW_US = START_US + 40 * parcels.DAY_US


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Forty days of parcels, learned from."""
    opened = Runtime(
        load_app(str(FILE)), load_settings(tmp_path_factory.mktemp("parcels") / "home"), ManualClock(NOW_US)
    )
    ingest_pieces(opened, "jsonl", [b"\n".join(parcels.lines(40, START_US, a_day=60))], "past", "history")
    assert learn(opened, workers=1).released
    return opened


def columns(at_us: int, fields: dict[str, object]) -> dict[str, np.ndarray]:
    """The row of a request, as another program would put it together."""
    day = at_us // parcels.DAY_US
    return {
        "km": np.array([[fields["km"]]], np.float64),
        "glass": np.array([[fields["glass"]]], np.float64),
        "hour": np.array([[str(at_us % parcels.DAY_US // 3_600_000_000)]], dtype=object),
        "weekday": np.array([[str((day + 3) % 7)]], dtype=object),  # 1 January 1970 was a Thursday
    }


def test_every_version_answers_as_its_file_does(runtime: Runtime) -> None:
    task, rng = runtime.app.task, np.random.default_rng(5)
    for version in runtime.registry.versions():
        artifact = load_artifact(runtime.artifacts / version.artifact, version.artifact_files)
        model = model_of(artifact, runtime.app.model_classes)
        session = onnxruntime.InferenceSession(task.onnx_file(model, artifact, {}))
        pipeline = PredictPipeline(task, artifact, model, None)  # type: ignore[arg-type]
        for number in range(40):
            at_us = NOW_US + number * 5_000_000_000
            fields = {"parcel": 10**6 + number, "km": float(rng.gamma(2.0, 120.0)), "glass": bool(rng.random() < 0.3)}
            request = request_of(task.about.request, new_id(at_us, random.Random(number)), at_us, fields)
            (response,) = pipeline.answer([request], [None])
            (predicted,) = session.run(None, columns(at_us, fields))[0]
            assert predicted == pytest.approx(response.values, abs=ONNX_TOLERANCE)
            assert min(response.values) > 0
