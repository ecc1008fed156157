"""Renders predictions as replies: as a JSON document, or as one line."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flyball.core import BadDeclaration
from flyball.outcomes import Prediction
from flyball.tasks import About, key_field


class AnswerDocument:
    """Answers of one task as JSON documents, with the titles of the items where there are any.

    `value_names`: what the values of an answer are called.
    """

    def __init__(self, about: About, value_names: Callable[[Prediction], Sequence[str]]) -> None:
        self._about, self._key, self._value_names = about, key_field(about.request), value_names

    def of(self, prediction: Prediction, titles: Mapping[str, str]) -> dict[str, Any]:
        document: dict[str, Any] = {"prediction": prediction.id}
        if self._key:
            document[self._key] = prediction.key
        document |= {
            "level": prediction.level,
            "version": prediction.version or None,
            "stale_s": prediction.stale_us / 1e6 if prediction.stale_us else None,
        }
        if self._about.items:
            document["items"] = self._items(prediction, titles)
        if self._about.values:
            document["values"] = dict(zip(self._value_names(prediction), prediction.values, strict=False))
        if prediction.decision:
            document["decision"] = prediction.decision
        if prediction.capacity_used_up:
            document["capacity_used_up"] = True
        return document

    def _items(self, prediction: Prediction, titles: Mapping[str, str]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = [
            {"item": item, "score": score, "source": source}
            for item, score, source in zip(prediction.items, prediction.scores, prediction.sources, strict=True)
        ]
        for document, parts in zip(items, prediction.parts, strict=False):
            document["parts"] = dict(zip(self._about.parts, parts, strict=False))
        for document in items if titles else ():
            if document["item"] in titles:
                document["title"] = titles[document["item"]]
        return items


def _lines(prediction: Prediction) -> bytes:
    """The items' ids in one line, comma separated."""
    return ",".join(prediction.items).encode()


RENDERINGS: dict[str, Callable[[Prediction], bytes] | None] = {"json": None, "lines": _lines}
"""{rendering of a path: function to bytes, None for the JSON document}."""


def rendering_of(path: str, name: str) -> Callable[[Prediction], bytes] | None:
    """The rendering `name`; raises `BadDeclaration` for an unknown one."""
    if name not in RENDERINGS:
        raise BadDeclaration(f"rendering of path {path!r}", f"one of {', '.join(RENDERINGS)}", name)
    return RENDERINGS[name]
