"""Which answers events follow: the planted decision is among the sets that explain the past, and others are not."""

import numpy as np

from flyball.monitoring.watch.followed import DECISIONS, decided_answers, followed_answers, same_mix

WINDOWS = list(range(21))


def world(seed: int, mixed: bool = True) -> tuple[dict[str, dict[int, int]], dict[int, int]]:
    """(answers by decision, verdicts on nine of ten reviews) of windows; `mixed`: shares differ between them."""
    rng = np.random.default_rng(seed)
    decided: dict[str, dict[int, int]] = {"approve": {}, "review": {}}
    for at_us in WINDOWS:
        answers, share = int(rng.poisson(200)), rng.uniform(0.1, 0.6)
        decided["review"][at_us] = int(rng.binomial(answers, share)) if mixed else answers * 3 // 10
        decided["approve"][at_us] = answers - decided["review"][at_us]
    return decided, {at_us: int(rng.binomial(number, 0.9)) for at_us, number in decided["review"].items()}


def together(decided: dict[str, dict[int, int]]) -> dict[int, int]:
    return {at_us: sum(counts[at_us] for counts in decided.values()) for at_us in WINDOWS}


def test_the_decision_that_events_follow_is_known_where_its_share_varies() -> None:
    decided, verdicts = world(1)
    (best,) = followed_answers(verdicts, together(decided), decided, WINDOWS)
    assert best.counts == decided["review"]
    assert abs(np.exp(best.level) - 0.9) < 0.03
    assert not best.all_answers


def test_where_all_shares_are_alike_each_set_may_be_it() -> None:
    decided, verdicts = world(1, mixed=False)
    sets = followed_answers(verdicts, together(decided), decided, WINDOWS)
    assert [model.counts for model in sets].count(decided["review"]) == 1
    assert any(model.all_answers for model in sets)
    assert followed_answers(verdicts, together(decided), decided, WINDOWS[:6]) == []


def test_a_decision_that_was_never_seen_explains_nothing() -> None:
    decided, verdicts = world(1)
    sets = followed_answers(verdicts, decided["review"], {"review": decided["review"], "decline": {30: 50}}, WINDOWS)
    assert all(model.counts == decided["review"] for model in sets)


def test_counts_are_those_of_the_mix_of_now() -> None:
    answers, reviews = {1: 100, 2: 200, 3: 0}, {1: 50, 2: 20}
    assert same_mix({1: 40, 2: 18, 3: 4}, answers, reviews, 2) == {1: 8, 2: 18, 3: 4}
    assert same_mix({1: 40}, answers, reviews, 3) == {1: 40}
    assert decided_answers({f"{DECISIONS}review": reviews, "predictions": answers}) == {"review": reviews}
