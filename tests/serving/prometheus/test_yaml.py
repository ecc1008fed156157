"""YAML: texts that would mean something else are quoted."""

import pytest

from flyball.serving.prometheus.yaml import to_yaml


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("word", "word"),
        ("job:a:rate5m", '"job:a:rate5m"'),
        ("5m", '"5m"'),
        ("yes", '"yes"'),
        ("", '""'),
        ('up{job="a"} > 0', "'up{job=\"a\"} > 0'"),
        ('it\'s "x"', "'it''s \"x\"'"),
        ('a "b"\nc', '"a \\"b\\"\\nc"'),
        ("# no comment", '"# no comment"'),
        ("{{ $value }}", '"{{ $value }}"'),
    ],
)
def test_texts_are_quoted_where_they_must_be(text: str, written: str) -> None:
    assert to_yaml({"a": text}) == f"a: {written}\n"


def test_lists_and_mappings_are_indented() -> None:
    document = {"a": [{"b": 1, "c": [True, None]}, "d"], "e": {"f": 0.5}, "g": [], "h": {}}
    assert to_yaml(document) == (
        "a:\n  - b: 1\n    c:\n      - true\n      - null\n  - d\ne:\n  f: 0.5\ng: []\nh: {}\n"
    )
