"""What an edit of each key does: an edited file for every key, and what must come of it."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec
from tests.tasks.edits.homes import MIX, PAID, RECENT, TEXTS

Outcome = Literal["same", "at once", "arrangement", "next version", "refused"]


class Edit(msgspec.Struct, frozen=True):
    """`key`: as `keys` names it. `home`: of which application. `outcome`: what must come of it.

    `pairs`: (what to replace in the file, by what). `code`: what is added at its end, which declares `app` again.
    `says`: what `flyball check` must say of it, as a part of its text. `case`: which of several edits of the key it is,
    in words.
    """

    key: str
    outcome: Outcome
    code: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    says: str = ""
    home: str = "payments"
    case: str = ""

    @property
    def text(self) -> str:
        """The edited file."""
        text = replaced(TEXTS[self.home], self.pairs)
        assert text is not None, self.pairs
        return f"{text}\n{self.code}\n" if self.code else text


def replaced(text: str, pairs: Sequence[tuple[str, str]]) -> str | None:
    """The text with each pair's new part for its old one; None where an old part is not in it."""
    for old, new in pairs:
        if old not in text:
            return None
        text = text.replace(old, new)
    return text


LABEL = '"chargeback"'
"""The label of the payments' task, in code."""


def together(edits: Sequence[Edit]) -> str | None:
    """The file with all of the edits; None where one of them edits what another one replaced or took out."""
    code = "".join(edit.code for edit in edits)
    if LABEL in code and re.search(r"target=(NEW|fb\.occurs\(Refund)", code):
        return None  # a release may not name a label that the task no longer has
    if any(f'with_part("{part}"' in code for part in re.findall(r"with_task\((\w+)=None", code)):
        return None
    text = replaced(TEXTS[edits[0].home], [pair for edit in edits for pair in edit.pairs])
    if text is None:
        return None
    gone = set(re.findall(r"class (\w+)\(", TEXTS[edits[0].home])) - set(re.findall(r"class (\w+)\(", text))
    if gone & set(re.findall(r"\w+", code)):
        return None
    once = text.replace("    return fb.App(**ARGUMENTS)\n", "    return None\n")  # what lies between may not fit
    return "\n".join([once, *(edit.code for edit in edits), "app = fb.App(**ARGUMENTS)\n"])


def _feature(key: str, now: str, of: str = PAID, outcome: Outcome = "refused", says: str = "") -> Edit:
    """An edit of a feature's definition."""
    return Edit(key, outcome, pairs=((of, now),), says=says)


APP = [
    Edit("App.name", "refused", 'app = with_app(name="other")', says="must be of other"),
    Edit(
        "App.events", "same", "class New(fb.Event):\n    card: Card\napp = with_app(events=[*ARGUMENTS['events'], New])"
    ),
    Edit(
        "App.events",
        "same",
        "app = with_app(events=[event for event in ARGUMENTS['events'] if event is not Rechecked])",
        case="one less that the log holds no record of",
    ),
    Edit(
        "App.events",
        "same",
        "app = with_app(events=[Parcel, Arrived])",
        home="deliveries",
        case="one less that the log holds records of",
    ),
    Edit(
        "App.events",
        "refused",
        "app = with_app(events=[event for event in ARGUMENTS['events'] if event is not Chargeback])",
        says="Chargeback",
        case="one less that the task reads",
    ),
    Edit(
        "App.events",
        "refused",
        "app = with_app(events=[event for event in ARGUMENTS['events'] if event is not View])",
        says="View",
        home="views",
        case="one less that the task reads",
    ),
    Edit(
        "App.events",
        "same",
        pairs=(
            ("class Lost(fb.Event):\n", 'class Missing(fb.Event):\n    former_names = ("Lost",)\n'),
            ("Arrived, Lost]", "Arrived, Missing]"),
        ),
        home="deliveries",
        case="one renamed, with `former_names`",
    ),
    Edit(
        "App.events",
        "same",
        pairs=(("class Lost(fb.Event):\n", "class Missing(fb.Event):\n"), ("Arrived, Lost]", "Arrived, Missing]")),
        home="deliveries",
        case="one renamed, without `former_names`",
    ),
    Edit(
        "App.events",
        "same",
        pairs=(
            ("class Arrived(fb.Event):\n", 'class Brought(fb.Event):\n    former_names = ("Arrived",)\n'),
            ("Arrived, Lost]", "Brought, Lost]"),
            ("elapsed(Arrived", "elapsed(Brought"),
        ),
        home="deliveries",
        case="one renamed, with `former_names`",
    ),
    Edit(
        "App.events",
        "at once",
        pairs=(
            ("class Arrived(fb.Event):\n", "class Brought(fb.Event):\n"),
            ("Arrived, Lost]", "Brought, Lost]"),
            ("elapsed(Arrived", "elapsed(Brought"),
        ),
        says="target.event Arrived, now Brought",
        home="deliveries",
        case="one renamed that the task reads, without `former_names`, as another `event` of the target is",
    ),
    Edit("App.task", "next version", "app = with_task(weight=lambda p: p.amount)", says="weight"),
    Edit("App.candidates", "same", 'app = with_app(candidates={"linear": fb.Linear(l2=3.0), "usual": fb.Constant()})'),
    Edit("App.candidates", "same", 'app = with_app(candidates={"usual": fb.Constant()})'),
    Edit(
        "App.candidates",
        "same",
        'app = with_app(candidates={"usual": fb.Popular()})',
        home="own",
        case="a model of your own less, its class still in the file",
    ),
    Edit(
        "App.candidates",
        "refused",
        'del Together\napp = with_app(candidates={"usual": fb.Popular()})',
        says="model Together, which the version answers with, must be in the application's file",
        home="own",
        case="its class gone from the file too",
    ),
    Edit("App.formats", "same", 'app = with_app(formats=fb.columns(rename={"sum": "amount"}))'),
    Edit("App.choose", "same", 'app = with_app(choose=fb.best("auc"))'),
    Edit("App.release", "same", "app = with_app(release=fb.canary(10, 100))"),
    Edit("App.gates", "same", "app = with_app(gates=fb.gates(min_examples=21))"),
    Edit("App.retrain", "same", 'app = with_app(retrain=[fb.every("3d")])'),
    Edit("App.training", "same", "app = with_app(training=fb.stateful())"),
    Edit("App.train_window", "same", 'app = with_app(train_window=["all", "30d"])'),
    Edit("App.alerts", "same", 'app = with_app(alerts=fb.alerts(on_call=["ann"]))'),
    Edit("App.suspects", "same", 'app = with_app(suspects=fb.suspects("hold"))'),
    Edit("App.retention", "same", 'app = with_app(retention={"payment": "400d"})'),
    Edit("App.watch", "same", 'app = with_app(watch=fb.watch("6h"))'),
    Edit("App.world", "same", 'app = with_app(world=fb.world("fraud"))'),
    Edit("App.paths", "same", 'app = with_app(paths={"POST /score": "json"})'),
    Edit("App.metrics", "same", 'app = with_app(metrics={"refunds": fb.metric.rate(Refund, by="payment")})'),
]


def _reweighted(what: str, **values: str) -> list[Edit]:
    """Edits of each key of weights that were not declared before; the next version learns with them."""
    made = f"fb.reweight_{what}()"
    return [
        Edit(
            f"Reweight{what.title()}.{key}",
            "next version",
            f"app = with_task(reweight=msgspec.structs.replace({made}, {key}={value}))",
            says="reweight",
        )
        for key, value in values.items()
    ]


PREDICT = [
    Edit(
        "Predict.on",
        "refused",
        'NEW = fb.occurs(Chargeback, by="payment", within="5d")\n'
        "app = with_task(on=Refund, target=NEW, features=(), ignore=(), decide=None)",
        says="must be of the type of those that this home has answered, payment",
    ),
    Edit(
        "Predict.target",
        "next version",
        'app = with_task(target=fb.occurs(Refund, by="payment", within="5d"))',
        says="target.event",
    ),
    Edit(
        "Predict.target",
        "refused",
        'app = with_task(target={"damaged": TASK.target["damaged"], "gone": TASK.target["lost"]})',
        says="lost",
        home="labels",
        case="a label less",
    ),
    Edit(
        "Predict.target",
        "next version",
        'TORN = fb.occurs(Arrived, by="parcel", within="6h", where=lambda a: a.packing == "damaged")\n'
        'app = with_task(target={**TASK.target, "torn": TORN})',
        says="torn",
        home="labels",
        case="a label more",
    ),
    Edit(
        "Predict.target",
        "next version",
        "app = with_task(target=dict(reversed(TASK.target.items())))",
        says="classes",
        home="labels",
        case="labels in another order",
    ),
    Edit("Predict.kind", "next version", 'app = with_task(kind="number")', says="kind", home="deliveries"),
    Edit(
        "Predict.quantiles",
        "next version",
        "app = with_task(quantiles=(0.05, 0.5, 0.95))",
        says="quantiles",
        home="deliveries",
    ),
    Edit("Predict.open_examples", "next version", 'app = with_task(open_examples="weight")', says="open_examples"),
    Edit("Predict.weight", "next version", "app = with_task(weight=lambda p: p.amount)", says="weight"),
    Edit(
        "Predict.features", "refused", "app = with_task(features=())", says="column card.limit must be", case="one less"
    ),
    Edit(
        "Predict.features",
        "next version",
        pairs=(("    mix=", '    more=fb.count(Payment, "1d"),\n    mix='),),
        says="card.more",
        case="one more",
    ),
    Edit(
        "Predict.ignore",
        "next version",
        'app = with_task(ignore=("card", "shop", "hour", "card.paid"))',
        says="columns",
    ),
    Edit("Predict.ignore", "next version", "app = with_task(ignore=())", says="columns"),
    Edit("Predict.slices", "same", 'app = with_task(slices=("shop",))'),
    Edit("Predict.groups", "same", 'app = with_task(groups=("shop",))'),
    Edit("Predict.balance", "next version", 'app = with_task(groups=("shop",), balance="shop")', says="balance"),
    Edit("Predict.unit", "same", 'app = with_task(unit="card")'),
    Edit("Predict.zone", "next version", 'app = with_task(zone="Europe/Berlin")', says="zone"),
    Edit("Predict.decide", "arrangement", "app = with_task(decide=None)", says="verdict"),
    Edit("Predict.decide", "arrangement", "app = with_task(decide=None)", home="promises"),
    Edit("Predict.deadline", "at once", 'app = with_task(deadline="1s")'),
    Edit("Predict.adapt", "at once", "app = with_task(adapt=0.0)", home="deliveries"),
    Edit("Predict.reweight", "next version", "app = with_task(reweight=fb.reweight_covariates())", says="reweight"),
    Edit("Predict.adapt", "at once", "app = with_task(adapt=0.2)", home="deliveries"),
]
TARGET = [
    Edit(
        "Target.kind",
        "refused",
        'app = with_task(target=fb.elapsed(Chargeback, by="payment", within="5d"), decide=None)',
        says="must predict",
    ),
    Edit(
        "Target.event",
        "next version",
        'app = with_task(target=fb.occurs(Refund, by="payment", within="5d"))',
        says="target.event",
    ),
    Edit(
        "Target.by",
        "next version",
        'NEW = fb.occurs(Refund, by="card", within="5d")\n'
        "app = with_task(target=NEW, decide=msgspec.structs.replace(TASK.decide, verdict=None))",
        pairs=(("class Refund(fb.Event):\n", "class Refund(fb.Event):\n    card: Card\n"),),
        says="target.by",
    ),
    Edit(
        "Target.within_us",
        "next version",
        'app = with_part("target", within_us=9 * 86_400_000_000)',
        says="target.within",
    ),
    Edit(
        "Target.within_us",
        "at once",
        'app = with_part("target", within_us=9 * 3_600_000_000)',
        says="target.within 6h, now 9h",
        home="deliveries",
        case="where outcomes move an interval: it is computed again from the outcomes as they are declared now",
    ),
    Edit(
        "Target.event",
        "at once",
        'app = with_part("target", event=Lost)',
        says="target.event Arrived, now Lost",
        home="deliveries",
        case="where outcomes move an interval: it is computed again from the outcomes as they are declared now",
    ),
    Edit(
        "Target.censored_by",
        "next version",
        'app = with_part("target", censored_by=(Refund,))',
        says="target.censored_by",
    ),
    Edit(
        "Target.censored_by",
        "at once",
        'app = with_part("target", censored_by=(Lost,))',
        says="target.censored_by nothing, now Lost",
        home="deliveries",
        case="where outcomes move an interval: it is computed again from the outcomes as they are declared now",
    ),
    Edit(
        "Target.unit_us",
        "refused",
        'app = with_part("target", unit_us=1_000_000)',
        says="units of 1m",
        home="deliveries",
    ),
    Edit(
        "Target.where",
        "next version",
        'app = with_part("target", where=None)',
        says="target.where lost >= 0, now nothing;",
    ),
    Edit("Target.latest", "next version", 'app = with_part("target", latest=True)', says="target.latest"),
    Edit(
        "Target.value",
        "next version",
        'NEW = fb.target_value(Arrived, lambda a: a.packing, by="parcel", within="6h")\n'
        'app = with_part("target", value=NEW.value)',
        says="target.value",
        home="states",
    ),
    Edit(
        "Target.classes",
        "refused",
        'app = with_part("target", classes=("damaged", "whole"))',
        says="predicts",
        home="states",
    ),
    Edit(
        "Target.classes",
        "refused",
        'app = with_part("target", classes=("whole", "damaged", "torn"))',
        says="predicts",
        home="states",
    ),
]
DECIDE = [
    Edit(
        "Decide.false_approve",
        "arrangement",
        'app = with_part("decide", false_approve=fb.decide(lambda p: 9 * p.amount, 1.0).false_approve)',
    ),
    Edit(
        "Decide.false_decline",
        "arrangement",
        'app = with_part("decide", false_decline=fb.decide(1.0, 900.0).false_decline)',
    ),
    Edit("Decide.review", "arrangement", 'app = with_part("decide", review=fb.decide(1.0, 1.0, 0.01).review)'),
    Edit("Decide.reviews_per_day", "arrangement", 'app = with_part("decide", reviews_per_day=1.0)'),
    Edit("Decide.abstain", "arrangement", 'app = with_part("decide", abstain=(0.0, 1.0))'),
    Edit("Decide.control", "arrangement", 'app = with_part("decide", control=0.5)'),
    Edit("Decide.verdict", "next version", 'app = with_part("decide", verdict=Rechecked)', says="verdict"),
    *(
        Edit(
            key,
            "refused",
            f"RULE = fb.decide(1.0, 1.0, equal={{'selection_rate/{by}': 0.2}}).equal\napp = with_task(\n"
            f"    groups=('{by}',), decide=msgspec.structs.replace(TASK.decide, equal=RULE)\n)",
            says=f"equal of the arrangement must be by groups that the version kept of its requests (none), got {by}",
            case="by groups that the version was learned without",
        )
        for key, by in (
            ("Decide.equal", "shop"),
            ("EqualRate.rate", "shop"),
            ("EqualRate.by", "shop"),
            ("EqualRate.within", "shop"),
        )
    ),
    Edit("Decide.otherwise", "arrangement", 'app = with_part("decide", otherwise="decline")'),
    Edit("Quote.late", "arrangement", 'app = with_part("decide", late=8.0)', home="promises"),
    Edit(
        "Quote.late",
        "refused",
        'app = with_part("decide", late=800.0)',
        says="quantiles",
        home="promises",
        case="beyond the predicted quantiles",
    ),
    *_reweighted("covariates", columns='("amount",)', recent_us="3_600_000_000", limit="5.0", least="0.5"),
    *_reweighted("labels", method='"bbse"', recent_us="3_600_000_000", limit="5.0", least="0.5"),
    Edit("Quote.early", "arrangement", 'app = with_part("decide", early=2.0)', home="promises"),
]
RECOMMEND = [
    Edit(
        "Recommend.user",
        "refused",
        pairs=(('fb.Entity("user"', 'fb.Entity("viewer"'), ('fb.Ref("user")', 'fb.Ref("viewer")')),
        says="user",
        home="cinema",
    ),
    Edit(
        "Recommend.item",
        "refused",
        pairs=(('fb.Entity("film"', 'fb.Entity("movie"'), ('fb.Ref("film")', 'fb.Ref("movie")')),
        says="film",
        home="cinema",
    ),
    Edit(
        "Recommend.positive",
        "next version",
        'app = with_task(positive=fb.outcome(Watch, within="1d"))',
        says="positive Watch (where minute >= 30, within 1d), now gone; now also positive Watch (within 1d);",
        home="cinema",
    ),
    Edit(
        "Recommend.weak_positive",
        "next version",
        "app = with_task(weak_positive=None)",
        says="weak_positive",
        home="cinema",
    ),
    Edit(
        "Recommend.negative",
        "next version",
        "app = with_task(negative=fb.outcome(Rate, where=lambda r: r.stars <= 1))",
        says="negative",
        home="cinema",
    ),
    Edit(
        "Recommend.weak_positive",
        "next version",
        "app = with_task(weak_positive=None)",
        says="weak_positive View (within 1d), now nothing",
        home="views",
    ),
    Edit("Recommend.rating", "next version", "app = with_task(rating=None)", says="rating", home="cinema"),
    Edit("Recommend.k", "at once", "app = with_task(k=5)", home="cinema"),
    Edit("Recommend.deadline", "at once", 'app = with_task(deadline="1s")', home="cinema"),
    Edit(
        "Recommend.context",
        "same",
        "class Place(fb.Event):\n    country: str\n\n\napp = with_task(context=Place)",
        home="cinema",
    ),
    Edit("Recommend.groups", "same", 'app = with_task(groups=("age",))', home="cinema"),
    Edit("Recommend.max_per", "arrangement", 'app = with_task(max_per=("half", 2))', home="cinema"),
    Edit(
        "Recommend.influence_cap",
        "next version",
        "app = with_task(influence_cap=50)",
        says="influence_cap 1000, now 50",
        home="cinema",
    ),
    Edit("Recommend.cold_start_slots", "arrangement", "app = with_task(cold_start_slots=0)", home="cinema"),
    Edit(
        "Recommend.propensity_cap",
        "next version",
        "app = with_task(propensity_cap=10)",
        says="propensity_cap",
        home="cinema",
    ),
    Edit("Recommend.popularity_penalty", "arrangement", "app = with_task(popularity_penalty=0.5)", home="cinema"),
    Edit("Recommend.randomized_share", "arrangement", "app = with_task(randomized_share=0.1)", home="cinema"),
    Edit(
        "Recommend.features",
        "same",
        'app = with_task(features=(fb.Features("pair", keys=(user, film), seen=fb.count(Watch, "7d")),))',
        home="cinema",
    ),
    Edit(
        "Outcome.event",
        "next version",
        'app = with_part("weak_positive", event=Rate)',
        says="weak_positive.event",
        home="cinema",
    ),
    Edit(
        "Outcome.where",
        "next version",
        'app = with_part("weak_positive", where=fb.outcome(Watch, where=lambda w: w.minute > 3).where)',
        says="weak_positive.where",
        home="cinema",
    ),
    Edit(
        "Outcome.at_least",
        "next version",
        'app = with_part("weak_positive", at_least=2)',
        says="weak_positive.at_least",
        home="cinema",
    ),
    Edit(
        "Outcome.within_us",
        "next version",
        'app = with_part("weak_positive", within_us=7 * 86_400_000_000)',
        says="weak_positive.within 1d, now 7d",
        home="cinema",
    ),
    Edit(
        "AnyOf.outcomes",
        "next version",
        'app = with_part("positive", outcomes=TASK.positive.outcomes[:1])',
        says="positive",
        home="cinema",
    ),
    Edit(
        "Value.event",
        "next version",
        "app = with_task(rating=fb.value(Watch, lambda w: w.minute))",
        says="rating.event",
        home="cinema",
    ),
    Edit(
        "Value.expression",
        "next version",
        "app = with_task(rating=fb.value(Rate, lambda r: 6 - r.stars))",
        says="rating.of",
        home="cinema",
    ),
]
FEATURES = [
    Edit(
        "Entity.name",
        "refused",
        pairs=(
            ('fb.Ref("card")', 'fb.Ref("plastic")'),
            ('    "card",\n', '    "plastic",\n'),
            ('"card.paid"', '"plastic.paid"'),
        ),
        says="Ref('card')",
    ),
    Edit(
        "Entity.profile",
        "refused",
        pairs=(("    limit=fb.attribute(CardFile, lambda c: c.limit),\n", ""), ("    profile=CardFile,\n", "")),
        says="card.limit",
    ),
    Edit(
        "Entity.profile",
        "refused",
        pairs=(
            (
                'user = fb.Entity("user", profile=Viewer',
                "class Other(fb.Profile):\n    user: User\n    age: int | None = None\n\n"
                'user = fb.Entity("user", profile=Other',
            ),
        ),
        says="profile",
        home="cinema",
    ),
    Edit(
        "Entity.known_by",
        "refused",
        pairs=(('fb.Entity("film", profile=Card', 'fb.Entity("film", known_by=(Watch,), profile=Card'),),
        says="known_by",
        home="cinema",
        case="of what `fb.Recommend` ranks",
    ),
    Edit(
        "Entity.known_by",
        "same",
        pairs=(("    profile=CardFile,\n", "    profile=CardFile,\n    known_by=(Payment,),\n"),),
        case="of another",
    ),
    Edit("Entity.group", "refused", pairs=((">= 40", ">= 30"),), says="group=", home="cinema"),
    Edit(
        "Entity.group",
        "same",
        pairs=(
            ("    age: int | None = None\n", '    years: Annotated[int | None, fb.renamed("age")] = None\n'),
            ('lambda viewer: "old" if (viewer.age or 0)', 'lambda person: "old" if (person.years or 0)'),
        ),
        home="cinema",
        case="variables renamed, or a field with `fb.renamed`",
    ),
    Edit("Entity.features", "refused", pairs=((f"    mix={MIX},\n", ""),), says="card.mix"),
    Edit("Features.name", "refused", pairs=(('fb.Features("shops"', 'fb.Features("stores"'),), says="shops."),
    Edit("Features.keys", "refused", pairs=(('keys=("shop",)', 'keys=("shop", "card")'),), says="shops."),
    Edit("Features.features", "refused", pairs=((f"recent={RECENT},", ""),), says="shops.recent"),
    Edit("FeatureSet.groups", "refused", pairs=(("card, shops, Payment", "card, Payment"),), says="shops."),
    Edit("FeatureSet.derived", "refused", pairs=(("share=", "part="),), says="share"),
    _feature(
        "Derived.op",
        'fb.hashed("card.paid", "amount", size=50)',
        'fb.computed(lambda paid, own: own / (1 + (paid or 0)), "card.paid", "amount")',
        says="share",
    ),
    _feature(
        "Derived.inputs",
        '"card.paid", "risk"',
        '"card.paid", "amount"',
        says="inputs (card.paid, amount), now (card.paid, risk)",
    ),
    _feature("Derived.result", '"card.paid", "amount", kind=bool', '"card.paid", "amount"', says="share"),
    _feature(
        "Derived.size",
        'fb.hashed("card.paid", "amount", size=60)',
        'fb.computed(lambda paid, own: own / (1 + (paid or 0)), "card.paid", "amount")',
        says="share",
    ),
    _feature(
        "Derived.function",
        "own / (2 + (paid or 0))",
        "own / (1 + (paid or 0))",
        says="own / (1 + (paid or 0)), now lambda paid, own: own / (2 + (paid or 0))",
    ),
    Edit(
        "Derived.function",
        "same",
        pairs=(("lambda paid, own: own / (1 + (paid or 0))", "lambda before, now: now / (1 + (before or 0))"),),
        case="variables or constants renamed",
    ),
    _feature("Derived.content", "own / (3 + (paid or 0))", "own / (1 + (paid or 0))", says="share"),
]


def _aggregate(key: str, change: str, of: str = PAID, outcome: Outcome = "refused", says: str = "") -> Edit:
    name = says or {PAID: "card.paid", MIX: "card.mix", RECENT: "shops.recent"}[of]
    made = f"msgspec.structs.replace({of}, {change})"
    return Edit(
        key,
        outcome,
        pairs=((of, made), ("import flyball as fb\n", "import msgspec\nimport flyball as fb\n")),
        says=name if outcome == "refused" else "",
    )


AGGREGATES = [
    _aggregate("Aggregate.op", 'op="mean"'),
    _feature(
        "Aggregate.event",
        'fb.sum(Fraud, lambda p: p.amount, "7d", where=lambda p: p.risk > -3, scale=0.01)',
        says="card.paid",
    ),
    _aggregate("Aggregate.window", 'window=fb.tiled("8d")', says="window tiled(7d, 6h), now tiled(8d, 6h)"),
    _feature("Aggregate.value", PAID.replace("p.amount", "p.risk"), says="card.paid"),
    _feature("Aggregate.where", PAID.replace("> -3", "> -2"), says="where risk > -3, now risk > -2"),
    _aggregate("Aggregate.kind", 'kind="int"'),
    _aggregate("Aggregate.per_unit", "per_unit=1_000"),
    _aggregate("Aggregate.delay_us", "delay_us=60_000_000", says="delay nothing, now 1m"),
    _aggregate("Aggregate.by", 'by="card"', outcome="same"),
    _aggregate("Aggregate.n", "n=3"),
    _aggregate("Aggregate.max_events", "max_events=3"),
    _aggregate("Aggregate.half_life_us", "half_life_us=3"),
    _aggregate("Aggregate.prior", "prior=0.5"),
    _aggregate("Aggregate.weight", "weight=3.0"),
    _aggregate("Aggregate.freshness_us", "freshness_us=1_000_000", outcome="same"),
    _aggregate("Ratio.top", 'top=fb.count(Payment, "1d")', MIX),
    _aggregate("Ratio.bottom", 'bottom=fb.count(Payment, "8d")', MIX),
    _aggregate("Ratio.freshness_us", "freshness_us=1_000_000", MIX, outcome="same"),
    _feature("Window.kind", 'fb.count(Payment, "6h")', RECENT, says="shops.recent"),
    _feature("Window.size_us", RECENT.replace("6h", "7h"), RECENT, says="shops.recent"),
    _feature("Window.tile_us", PAID.replace('"7d"', 'fb.tiled("7d", "1h")'), says="card.paid"),
    _feature("Window.max_events", RECENT.replace("900", "800"), RECENT, says="shops.recent"),
]
EVENTS = [
    Edit(
        "Event.natural_key",
        "same",
        pairs=(("class Payment(fb.Event):\n", 'class Payment(fb.Event):\n    natural_key = ("payment",)\n'),),
        says="at, now by payment: one that is sent again is another event",
        case="`flyball check` names both keys",
    ),
    Edit(
        "Event.natural_key",
        "same",
        pairs=(("class Payment(fb.Event):\n", 'class Payment(fb.Event):\n    natural_key = ("card",)\n'),),
        says="at, now by card: one that is sent again is another event",
        case="`flyball check` names both keys",
    ),
    Edit(
        "Event.former_names",
        "refused",
        pairs=(("class Payment(fb.Event):\n", 'class Payment(fb.Event):\n    former_names = ("Paying",)\n'),),
        says="earlier name",
    ),
    Edit(
        "Event.keyed",
        "refused",
        pairs=(("class Payment(fb.Event):\n", "class Payment(fb.Event):\n    keyed = False\n"),),
        says="keyed",
    ),
    Edit(
        "Event.check",
        "same",
        pairs=(
            (
                "class Chargeback(fb.Event):\n",
                "class Chargeback(fb.Event):\n    def check(self):\n        return None\n",
            ),
        ),
    ),
    Edit(
        "Event.fields",
        "next version",
        pairs=(
            (
                "    risk: Annotated[float, fb.real(-20, 20)]\n",
                "    risk: Annotated[float, fb.real(-20, 20)]\n    channel: str = ''\n",
            ),
        ),
        says="channel",
        case="one more",
    ),
    Edit(
        "Event.fields",
        "refused",
        pairs=(
            (
                "    risk: Annotated[float, fb.real(-20, 20)]\n",
                "    risk: Annotated[float, fb.real(-20, 20)]\n    hour: str = ''\n",
            ),
        ),
        says="column hour must be",
        case="one that is called hour or weekday",
    ),
    Edit(
        "Event.fields",
        "refused",
        pairs=(
            (
                "    risk: Annotated[float, fb.real(-20, 20)]\n",
                "    risk: Annotated[float, fb.real(-20, 20)]\n    weekday: str = ''\n",
            ),
        ),
        says="column weekday must be",
        case="one that is called hour or weekday",
    ),
    Edit(
        "Event.fields",
        "refused",
        pairs=(("    shop: str\n", ""), ("shops, ", ""), ("shops = fb", "shops = None and fb")),
        says="shop",
        case="one less",
    ),
    Edit("Event.fields", "refused", pairs=(("    shop: str\n", "    shop: int\n"),), says="shop", case="another type"),
    Edit(
        "Event.fields",
        "same",
        pairs=(("fb.real(0, 100_000)", "fb.real(0, 50_000)"),),
        case="narrower limits that past events keep",
    ),
    Edit(
        "Event.fields",
        "same",
        pairs=(("    limit: float", '    most: Annotated[float, fb.renamed("limit")]'), ("c.limit", "c.most")),
        case="renamed with `fb.renamed`",
    ),
    Edit("joined.name", "refused", pairs=(('joined("Fraud"', 'joined("Frauds"'),), says="card.frauds"),
    Edit(
        "joined.first",
        "refused",
        pairs=(('joined("Fraud", Payment', 'joined("Fraud", Refund'), (", where=lambda f: f.amount >= 0", "")),
        says="card must be",
    ),
    Edit(
        "joined.second",
        "refused",
        pairs=(('joined("Fraud", Payment, Chargeback', 'joined("Fraud", Payment, Refund'),),
        says="card.frauds",
    ),
    Edit(
        "joined.by",
        "refused",
        pairs=(
            (
                "Refund(fb.Event):\n    payment: PaymentId\n",
                "Refund(fb.Event):\n    payment: PaymentId\n    card: Card\n",
            ),
            ('joined("Fraud", Payment, Chargeback, by="payment"', 'joined("Fraud", Payment, Refund, by="card"'),
        ),
        says="card.frauds",
    ),
    Edit(
        "joined.within",
        "refused",
        pairs=(('by="payment", within="5d")\n\ncard', 'by="payment", within="6d")\n\ncard'),),
        says="joined.within 5d, now 6d",
    ),
    Edit(
        "joined.at",
        "refused",
        pairs=(('by="payment", within="5d")\n\ncard', 'by="payment", within="5d", at="second")\n\ncard'),),
        says="card.frauds",
    ),
]


def _own(key: str, outcome: Outcome, of: str, now: str, case: str = "", home: str = "own") -> Edit:
    """An edit of the class of a user's own model, or of what it uses."""
    model = {"own": "Together", "own table": "Shares"}[home]
    says = {"refused": f"code of model {model} must be", "next version": f"code of {model}'s fit "}.get(outcome, "")
    return Edit(key, outcome, pairs=((of, now),), says=says, home=home, case=case)


MODELS = [
    _own("Model.score", "refused", "scores[row] = _damped(", "scores[row] = -_damped("),
    _own("Model.open", "refused", 'Ask(arrays["shares"],', 'Ask(1 - arrays["shares"],', home="own table"),
    _own("Model.fit", "next version", "counts.diagonal(), 1)", "counts.diagonal(), 2)"),
    _own("Model.fit", "next version", "/ (np.bincount(codes,", "/ (1 + np.bincount(codes,", home="own table"),
    _own("Model.uses", "refused", "return score * SHARE", "return score / SHARE", "a function that `score` calls"),
    _own("Model.uses", "refused", "SHARE, LEAST = 0.25,", "SHARE, LEAST = 0.5,", "a constant that it reads"),
    _own("Model.uses", "refused", "[:, None]", "[:, None] / 2", "a class that `open` makes", home="own table"),
    _own(
        "Model.uses", "next version", "users_items.T @ users_items", "users_items.T @ users_items * 2", "only by `fit`"
    ),
    _own("Model.uses", "next version", "LEAST = 0.25, 0.5", "LEAST = 0.25, 0.2", "only by `fit`"),
    _own("Model.parameters", "same", "damp: float = 0.5", "damp: float = 0.7", "another default"),
    _own("Model.parameters", "same", "damp: float = 0.5", "damp: float = 0.5\n    more: int = 1", "one more"),
    _own("Model.search_space", "same", "(0.3, 0.5)", "(0.3, 0.5, 0.8)"),
    Edit("Model.name", "same", pairs=(("Together", "Beside"),), home="own"),
    _own("Model.layout", "same", "What the same users watch.", "Other words."),
    _own("Model.layout", "same", "        return scores\n", "\n        # all of them\n        return scores\n"),
]
ALL = [*APP, *PREDICT, *TARGET, *DECIDE, *RECOMMEND, *FEATURES, *AGGREGATES, *EVENTS, *MODELS]

FIXED = {
    "Ratio.op": "always ratio",
    "Ratio.result": "always real",
}
"""Keys that have one value only."""


def _rules(owner: str, argument: str, made: str, **values: str) -> list[Edit]:
    """Edits of each key of what `argument` of `App` is given; none is for what answers a request."""
    return [
        Edit(f"{owner}.{key}", "same", f"app = with_app({argument}={made.format(f'{key}={value}')})")
        for key, value in values.items()
    ]


PLAN = "msgspec.structs.replace(fb.canary(10, 100), {})"
GATE = 'fb.gates(at_least={{"auc": 0.1}}).metrics[0]'
GATES = f"msgspec.structs.replace(fb.gates(), metrics=(msgspec.structs.replace({GATE}, {{}}),))"
METRIC = 'fb.metric.rate(Refund, by="payment")'
TOTAL = f"msgspec.structs.replace({METRIC}.numerator, {{}})"
RULES = [
    *_rules(
        "Choice",
        "choose",
        'msgspec.structs.replace(fb.best("auc"), {})',
        metric='"log_loss"',
        cheapest="True",
        ips="False",
    ),
    *_rules(
        "ReleasePlan",
        "release",
        PLAN,
        kind='"ab"',
        steps="(500, 10_000)",
        weights='{"control": 1.0, "other": 1.0}',
        guardrails='{"empty": 0.02}',
        success='{"chargeback": 0.1}',
        harmful='{"chargeback": 0.1}',
        constants='{"alpha": 0.02}',
        unit='("card",)',
        layer='"other"',
        traffic="5_000",
        targets='{"shop": ("a",)}',
        overrides='{"control": {"shop": ("b",)}}',
        holdout="0.1",
        holdout_us="1_000_000",
        watch_us="1_000_000",
        shadow_first="True",
        slices='("shop",)',
        group='"shop"',
        sampled="0.5",
    ),
    *_rules(
        "Gates",
        "gates",
        "msgspec.structs.replace(fb.gates(), {})",
        min_examples="21",
        max_loss="0.2",
        max_answer_us="1_000",
        max_fit_us="1_000_000",
        metrics='fb.gates(at_least={"auc": 0.1}).metrics',
        leaks='"refuse"',
        advisory='("no_leaks",)',
    ),
    *_rules(
        "MetricGate",
        "gates",
        GATES,
        name='"other"',
        metric='"log_loss"',
        at_least="0.2",
        at_most="0.9",
        above="0.1",
        certain="False",
        why='"so"',
        refuted="True",
    ),
    *_rules("Every", "retrain", '[msgspec.structs.replace(fb.every("1d"), {})]', period_us="90_000_000"),
    *_rules(
        "AlertPlan",
        "alerts",
        "msgspec.structs.replace(fb.alerts(), {})",
        on_call='("ben",)',
        after="()",
        acknowledge_us="60_000_000",
        mitigate_us="60_000_000",
        group_us="60_000_000",
        reopen_us="60_000_000",
        close_us="60_000_000",
        digest_us="3_600_000_000",
    ),
    *_rules(
        "AlertDelay",
        "alerts",
        "msgspec.structs.replace(fb.alerts(), after=(msgspec.structs.replace(fb.alerts().after[0], {}),))",
        monitor='"volume"',
        looks="2",
        lasts_us="60_000_000",
    ),
    *_rules(
        "OnVolume",
        "retrain",
        "[msgspec.structs.replace(fb.on_volume(5_000), {})]",
        labels="9",
        look_us="60_000_000",
        cooldown_us="60_000_000",
    ),
    *_rules(
        "OnPerformance",
        "retrain",
        '[msgspec.structs.replace(fb.on_performance("log_loss"), {})]',
        metric='"auc"',
        worse_by="0.5",
        relative="True",
        alpha="0.01",
        look_us="60_000_000",
        cooldown_us="60_000_000",
    ),
    *_rules(
        "OnDrift",
        "retrain",
        "[msgspec.structs.replace(fb.on_drift(), {})]",
        monitors='("label",)',
        severity='"high"',
        cooldown_us="60_000_000",
    ),
    *_rules("OnErasure", "retrain", "[msgspec.structs.replace(fb.on_erasure(), {})]", cooldown_us="60_000_000"),
    *_rules("Stateful", "training", "msgspec.structs.replace(fb.stateful(), {})", refit_every="3"),
    *_rules(
        "Cron",
        "retrain",
        '[msgspec.structs.replace(fb.cron("0 3 * * *"), {})]',
        times='"0 4 * * mon"',
        zone='"Europe/Berlin"',
    ),
    *_rules(
        "Watch",
        "watch",
        "msgspec.structs.replace(fb.watch(), {})",
        every_us="21_600_000_000",
        days="14",
        false_findings="2.0",
        least="0.1",
        ignore='("predictions",)',
    ),
    *_rules(
        "SuspectPlan",
        "suspects",
        "msgspec.structs.replace(fb.suspects(), {})",
        action='"hold"',
        entity='"shop"',
        days="14",
        false_share="0.1",
    ),
    *_rules(
        "WorldSpec",
        "world",
        'msgspec.structs.replace(fb.world("fraud"), {})',
        kind='"shop"',
        settings='{"cards": 9}',
        past_days="9",
    ),
    *_rules(
        "ExperimentMetric",
        "metrics",
        f'{{{{"refunds": msgspec.structs.replace({METRIC}, {{}})}}}}',
        kind='"count_per_unit"',
        numerator='fb.metric.rate(Chargeback, by="payment").numerator',
        denominator='fb.metric.rate(Chargeback, by="payment").numerator',
        at_least="2",
        after_us="5",
        within_us="86_400_000_005",
        before_us="5",
        late_us="5",
        cap="3.0",
        role='"primary"',
        better='"low"',
        margin="0.5",
        weight="0.5",
        by='"card"',
        loss='"brier"',
        label='"chargeback"',
    ),
    *_rules(
        "EventTotal",
        "metrics",
        f'{{{{"refunds": msgspec.structs.replace({METRIC}, numerator={TOTAL})}}}}',
        event="Chargeback",
        where='fb.metric.rate(Refund, where=lambda r: r.payment > 5, by="payment").numerator.where',
        value='fb.metric.rate(Refund, where=lambda r: r.payment > 5, by="payment").numerator.where',
        counted="False",
    ),
]
