"""Answers requests by fallback levels: pure functions, the same under HTTP, in virtual time and in a replay."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from flyball.events import Offsets
from flyball.outcomes import Prediction, Team, prediction_of_response
from flyball.releases import ReleaseState, Route, Router, level_of
from flyball.serving.answering.drafting import draft_of, rule_of_all
from flyball.tasks import (
    DEFAULT_LEVEL,
    EMPTY_LEVEL,
    FALLBACK_LEVELS,
    PRECOMPUTED_LEVEL,
    About,
    Fallback,
    LimitsLists,
    ListLimit,
    Pipeline,
    Request,
    Response,
)

ReadContexts = Callable[[Sequence[Request]], tuple[Sequence[Any], Offsets]]
Note = Callable[[str, str, object], None]
"""Called with (kind, subject, reason) of a failure after which a lower level answered."""


class NoFallback(msgspec.Struct, frozen=True):
    """The fallback of a process that has not read any store yet."""

    offsets: Offsets = ()
    ready: bool = False

    def answer(self, request: Request, context: Any | None) -> tuple[str, Response]:
        return EMPTY_LEVEL, Response()


class Serving(msgspec.Struct, frozen=True):
    """Everything that responses are made from; immutable, replaced as a whole.

    `pipelines`: the loaded versions; `arrangements`: {version: the revision its pipeline serves by}, 0 for the
    declared one. `contexts`: {version: how the contexts of its requests are read}, where that is
    another way than the engine's. `refused`: {version: why it is out of service}. `fallback`: what needs neither
    version nor store; `fallback_version`: the version it was precomputed with, "" for none, and by which revision
    (`fallback_arrangement`). `arranged`: of arms that answer by an arrangement of their own, {(version, revision):
    pipeline}. `catalog_offsets`: the events behind the catalogs, () when they changed while they were read. `titles`:
    {item: its title}.
    """

    release: ReleaseState = ReleaseState()
    pipelines: dict[str, Pipeline] = {}
    refused: dict[str, str] = {}
    fallback: Fallback = NoFallback()
    fallback_version: str = ""
    catalog_offsets: Offsets = ()
    contexts: dict[str, ReadContexts] = {}
    titles: dict[str, str] = {}
    arrangements: dict[str, int] = {}
    fallback_arrangement: int = 0
    arranged: dict[tuple[str, int], Pipeline] = {}

    def pipeline_of(self, version: str, arrangement: int | None) -> Pipeline | None:
        """The pipeline of a version by an arrangement, None for the released one; None where it is not loaded."""
        if arrangement is None:
            return self.pipelines.get(version)
        return self.arranged.get((version, arrangement))


_Source = tuple[str, int | None]
"""A version and the arrangement it answers by, None for the released one."""


class ScoringProgress:
    """The version that a scoring thread is using, for the watchdog; "" while it reads the state."""

    __slots__ = ("version",)

    def __init__(self) -> None:
        self.version = ""


class LevelAnswer(msgspec.Struct, frozen=True, gc=False):
    """A response with the version, the arrangement and the level it came from, and the offsets of the context it was
    made from. `teams`, `drafted`: as in `Prediction`."""

    response: Response
    version: str
    arrangement: int
    level: str
    offsets: Offsets
    teams: tuple[Team, ...] = ()
    drafted: tuple[int, ...] = ()


class _Contexts:
    """The contexts of a batch, read once for each way of reading them."""

    def __init__(self, requests: Sequence[Request], note: Note) -> None:
        self._requests, self._note = requests, note
        self._read: dict[ReadContexts, tuple[Sequence[Any] | None, Offsets]] = {}

    def by(self, read: ReadContexts) -> tuple[Sequence[Any] | None, Offsets]:
        """(a context for each request, their offsets); None where the state cannot be read."""
        if read not in self._read:
            try:
                self._read[read] = read(self._requests)
            except Exception as error:  # when the store cannot be read, the fallback answers
                self._note("state", "store", error)
                self._read[read] = (None, ())
        return self._read[read]


class _Batch(NamedTuple):
    """Requests that are answered together, and how far they are: `answered`, None where nothing has answered yet;
    `failed`: why it is not the version that was to answer, "" where it is. `late`: the version that is not asked, as it
    is late already, "" for none."""

    serving: Serving
    requests: Sequence[Request]
    routes: Sequence[Route]
    contexts: _Contexts
    progress: ScoringProgress
    answered: list[LevelAnswer | None]
    failed: list[str]
    late: str = ""


class Engine:
    """Answers requests from `serving`, which may be replaced between calls.

    A response is a function of the request, the context that `read` gives and `serving`: no clock, no other randomness
    than the seed in the request's id. `stale_us` is copied into the predictions. Every failure goes to `note`.
    """

    def __init__(self, read: ReadContexts, note: Note, serving: Serving | None = None) -> None:
        self._read, self._note = read, note
        self.serving = serving or Serving()
        self.stale_us = 0
        self._router = Router(self.serving.release)

    def answer(self, requests: Sequence[Request], progress: ScoringProgress | None = None) -> list[Prediction]:
        """One stamped prediction for each request, by the first level that can: the chosen version, the champion, the
        previous champion, the levels of the fallback. Never raises for what a version or a store does."""
        serving = self.serving
        routes = self._routes(serving, requests)
        answered, failed = self._answers(serving, requests, routes, progress or ScoringProgress())
        return [self._stamp(serving, *made) for made in zip(requests, routes, answered, failed, strict=True)]

    def respond(self, requests: Sequence[Request]) -> list[LevelAnswer]:
        """As `answer`, without the records: for whoever keeps none."""
        serving = self.serving
        return self._answers(serving, requests, self._routes(serving, requests), ScoringProgress())[0]

    def answer_without(
        self, late: str, requests: Sequence[Request], progress: ScoringProgress
    ) -> list[Prediction | None]:
        """As `answer`, by the first of a request's versions other than `late`, which has not answered in time; None
        where no other version can."""
        serving = self.serving
        routes = self._routes(serving, requests)
        batch = self._by_versions(serving, requests, routes, progress, late)
        return [
            None if answer is None else self._stamp(serving, request, chosen, answer, failed)
            for request, chosen, answer, failed in zip(requests, routes, batch.answered, batch.failed, strict=True)
        ]

    def _by_versions(
        self,
        serving: Serving,
        requests: Sequence[Request],
        routes: Sequence[Route],
        progress: ScoringProgress,
        late: str = "",
    ) -> _Batch:
        """The requests with what versions answer to them."""
        progress.version = ""
        count = len(requests)
        contexts = _Contexts(requests, self._note)
        batch = _Batch(serving, requests, routes, contexts, progress, [None] * count, [""] * count, late)
        if any(chosen.teams for chosen in routes):
            self._draft(batch)
        self._score(batch)
        return batch

    def _answers(
        self, serving: Serving, requests: Sequence[Request], routes: Sequence[Route], progress: ScoringProgress
    ) -> tuple[list[LevelAnswer], list[str]]:
        """What answers each request, and why it is not the version that was to, "" where it is."""
        batch = self._by_versions(serving, requests, routes, progress)
        answers = []
        for index, answer in enumerate(batch.answered):
            if answer is None:
                read = serving.contexts.get(serving.fallback_version, self._read)
                fallback_contexts, offsets = batch.contexts.by(read)
                answer = self._fall_back(
                    serving, requests[index], None if fallback_contexts is None else fallback_contexts[index], offsets
                )
            answers.append(answer)
        return answers, batch.failed

    def from_fallback(self, request: Request, failed: str = "") -> Prediction:
        """A prediction from the fallback alone, without store or version: fast, and safe to call from any thread.

        `failed`: why no version is used. The answer counts for the arm that the request was assigned to.
        """
        serving = self.serving
        answer = self._fall_back(serving, request, None, ())
        (chosen,) = self._routes(serving, [request])
        return self._stamp(serving, request, chosen, answer, failed)

    def ask(self, version: str, requests: Sequence[Request]) -> tuple[list[Response | str], Offsets]:
        """What `version` alone responds, whatever is released, and the offsets it was made from; the kind of failure
        for what it cannot respond to."""
        serving = self.serving
        if version not in serving.pipelines:
            return ["load"] * len(requests), ()
        read, offsets = _Contexts(requests, self._note).by(serving.contexts.get(version, self._read))
        if read is None:
            return ["state"] * len(requests), ()
        pipeline = serving.pipelines[version]
        return self._responses(serving, version, range(len(requests)), requests, read, pipeline), offsets

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms of releases under way that a tester may request."""
        return self._router_of(self.serving).arms

    def _router_of(self, serving: Serving) -> Router:
        if self._router.state is not serving.release:
            self._router = Router(serving.release)
        return self._router

    def _routes(self, serving: Serving, requests: Sequence[Request]) -> list[Route]:
        router = self._router_of(serving)
        return [router.route(request.key, request.event, request.arm) for request in requests]

    def _draft(self, batch: _Batch) -> None:
        """Fill `answered` with lists drafted from what all teams of a route answer, and `failed` with why one did not:
        then no draft is made, and the champion answers."""
        serving, routes = batch.serving, batch.routes
        rows: dict[_Source, list[tuple[int, int]]] = {}
        for index, chosen in enumerate(routes):
            for team, arm in enumerate(chosen.teams):
                rows.setdefault((arm.version, arm.arrangement), []).append((index, team))
        lists: dict[tuple[int, int], LevelAnswer] = {}
        for source, members in rows.items():
            answers = self._by_version(batch, source, [index for index, _ in members])
            for (index, team), answer in zip(members, answers, strict=True):
                if isinstance(answer, str):
                    batch.failed[index] = batch.failed[index] or answer
                else:
                    lists[index, team] = answer
        for index, chosen in enumerate(routes):
            teams = [lists[index, team] for team in range(len(chosen.teams)) if (index, team) in lists]
            if chosen.teams and len(teams) == len(chosen.teams):
                level = level_of(serving.release, chosen.version)
                batch.answered[index] = _drafted(serving, batch.requests[index], chosen, teams, level)

    def _score(self, batch: _Batch) -> None:
        """Fill `answered` with the responses of versions, each by the first of a request's versions that can answer,
        and `failed` with the reason where that was not the first."""
        serving, routes, answered, failed = batch.serving, batch.routes, batch.answered, batch.failed
        chosen_sources = [(chosen.version, chosen.arrangement) for chosen in routes]
        by_source = {source: _versions(serving, source) for source in set(chosen_sources)}
        versions = [by_source[source] for source in chosen_sources]
        for index, (chosen, source) in enumerate(zip(routes, chosen_sources, strict=True)):
            if chosen.version and by_source[source][:1] != [source] and not chosen.teams:
                failed[index] = "load"
        for depth in range(max(map(len, versions), default=0)):
            rows: dict[_Source, list[int]] = {}
            for index, candidates in enumerate(versions):
                if answered[index] is None and depth < len(candidates):
                    rows.setdefault(candidates[depth], []).append(index)
            for source, indexes in rows.items():
                answers = self._by_version(batch, source, indexes)
                for index, answer in zip(indexes, answers, strict=True):
                    if isinstance(answer, str):
                        failed[index] = failed[index] or answer
                    else:
                        answered[index] = answer

    def _by_version(self, batch: _Batch, source: _Source, indexes: Sequence[int]) -> list[LevelAnswer | str]:
        """What a version answers to the requests at `indexes`, or why it does not."""
        serving, version = batch.serving, source[0]
        if version == batch.late:
            return ["late"] * len(indexes)
        pipeline = serving.pipeline_of(*source)
        if pipeline is None:
            return ["load"] * len(indexes)
        read, offsets = batch.contexts.by(serving.contexts.get(version, self._read))
        if read is None:
            return ["state"] * len(indexes)
        batch.progress.version = version
        responses = self._responses(serving, version, indexes, batch.requests, read, pipeline)
        batch.progress.version = ""
        level = level_of(serving.release, version)
        arrangement = serving.arrangements.get(version, 0) if source[1] is None else source[1]
        return [
            response if isinstance(response, str) else LevelAnswer(response, version, arrangement, level, offsets)
            for response in responses
        ]

    def _responses(
        self,
        serving: Serving,
        version: str,
        batch: Sequence[int],
        requests: Sequence[Request],
        contexts: Sequence[Any],
        pipeline: Pipeline,
    ) -> list[Response | str]:
        """The version's responses, or the kind of failure for each request; a batch that raises is retried one by
        one."""
        try:
            responses = pipeline.answer([requests[index] for index in batch], [contexts[index] for index in batch])
        except Exception as error:  # a version may raise anything; the next level continues
            self._note("score", version, error)
            if len(batch) == 1:
                return ["score"]
            return [self._responses(serving, version, [index], requests, contexts, pipeline)[0] for index in batch]
        if len(responses) != len(batch):
            self._note("wrong", version, f"{len(responses)} responses to {len(batch)} requests")
            return ["wrong"] * len(batch)
        return [
            self._checked(serving, version, requests[index], contexts[index], response)
            for index, response in zip(batch, responses, strict=True)
        ]

    def _checked(
        self, serving: Serving, version: str, request: Request, context: Any, response: Response
    ) -> Response | str:
        """The response, or "wrong" where another level has a better one. An empty one is kept where nothing better is
        known."""
        if not _holds_any(response):
            if _holds_any(serving.fallback.answer(request, context)[1]):
                self._note("wrong", version, "an empty response")
                return "wrong"
        elif not _finite(response):
            self._note("wrong", version, "scores or values that are not finite numbers")
            return "wrong"
        return response

    def _fall_back(self, serving: Serving, request: Request, context: Any | None, offsets: Offsets) -> LevelAnswer:
        level, response = serving.fallback.answer(request, context)
        if level == DEFAULT_LEVEL:  # no version's, but by the revision that serves
            return LevelAnswer(response, "", serving.fallback_arrangement, level, offsets)
        if level != PRECOMPUTED_LEVEL:
            return LevelAnswer(response, "", 0, level, offsets)
        return LevelAnswer(response, serving.fallback_version, serving.fallback_arrangement, level, offsets)

    def _stamp(self, serving: Serving, request: Request, chosen: Route, answer: LevelAnswer, failed: str) -> Prediction:
        own = chosen.arrangement in (None, answer.arrangement)
        as_assigned = answer.version == chosen.version and own and answer.level not in FALLBACK_LEVELS
        assigned = chosen.version if chosen.arrangement is None else f"{chosen.version}@a{chosen.arrangement}"
        return prediction_of_response(
            request,
            answer.response,
            version=answer.version,
            arrangement=answer.arrangement,
            level=answer.level,
            arm=chosen.arm,
            propensity=chosen.propensity,
            offsets=answer.offsets,
            catalog=serving.catalog_offsets,
            fallback=serving.fallback.offsets if answer.level in FALLBACK_LEVELS else (),
            stale_us=self.stale_us,
            exposures=chosen.exposures,
            assigned="" if as_assigned else assigned,
            failed="" if as_assigned else failed,
            teams=answer.teams,
            drafted=answer.drafted,
        )


def _versions(serving: Serving, chosen: _Source) -> list[_Source]:
    """The loaded versions to try, best first; all but the assigned one by the released arrangement."""
    release = serving.release
    sources = dict.fromkeys((chosen, (release.champion or "", None), (release.previous or "", None)))
    return [source for source in sources if serving.pipeline_of(*source) is not None]


def _drafted(
    serving: Serving, request: Request, chosen: Route, answers: Sequence[LevelAnswer], level: str
) -> LevelAnswer:
    """One list of what the teams of a route answer, by the rule that all of them obey."""
    responses = [answer.response for answer in answers]
    limits = [
        _limit(serving.pipeline_of(arm.version, arm.arrangement), request, response)
        for arm, response in zip(chosen.teams, responses, strict=True)
    ]
    rule = rule_of_all(responses, limits)
    response, drafted = draft_of(request, responses, rule)
    teams = tuple(
        Team(
            arm.name,
            answer.version,
            answer.arrangement,
            [item.item for item in answer.response.items],
            [item.source for item in answer.response.items],
            answer.offsets,
            len(answer.response.reads),
            0 if rule is None else rule.at_most,
            [] if rule is None else [tuple(map(str, rule.values[item.item])) for item in answer.response.items],
        )
        for arm, answer in zip(chosen.teams, answers, strict=True)
    )
    first = answers[0]
    return LevelAnswer(response, chosen.version, first.arrangement, level, first.offsets, teams, drafted)


def _limit(pipeline: Pipeline | None, request: Request, response: Response) -> ListLimit | None:
    return pipeline.limit_of(request, response) if isinstance(pipeline, LimitsLists) else None


def holds_any(about: About, answer: Response | Prediction) -> bool:
    """Whether an answer says anything: a list may be empty, of values or a decision there must be one."""
    return not about.values or _holds_any(answer)


def _finite(response: Response) -> bool:
    scores = [item.score for item in response.items] if response.items else ()
    return all(map(math.isfinite, response.values)) and all(map(math.isfinite, scores))


def _holds_any(answer: Response | Prediction) -> bool:
    return bool(answer.items or answer.values or answer.decision)
