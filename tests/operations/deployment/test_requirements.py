"""The packages of an image are those of this environment, by version."""

import re
from importlib.metadata import version
from pathlib import Path

from flyball.operations.deployment.requirements import pinned_requirements


def test_each_package_that_flyball_needs_is_pinned_to_what_is_installed(tmp_path: Path) -> None:
    lines = pinned_requirements([])
    names = [re.split("[=<>]", line)[0] for line in lines]
    assert names == sorted(names)
    assert {"flyball", "numpy", "polars", "starlette", "sqlalchemy", "uvicorn"} <= set(names)
    assert {"confluent-kafka", "obstore", "psycopg", "redis"} <= set(names), "servers need these"
    assert not {"pytest", "mypy", "ray", "xgboost"} & set(names)
    assert f"numpy=={version('numpy')}" in lines
    assert len(names) == len(set(names))


def test_what_the_application_imports_is_pinned_too(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import sklearn.svm\nfrom . import other\nimport os\nimport flyball as fb\n")
    added = set(pinned_requirements([tmp_path / "shop.py"])) - set(pinned_requirements([]))
    assert f"scikit-learn=={version('scikit-learn')}" in added
    assert f"joblib=={version('joblib')}" in added
