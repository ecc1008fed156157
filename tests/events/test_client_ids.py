"""Ids that senders give: however an event is sent again, it is in the log once, and the first content stands."""

import itertools
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.events.home import NOW_US, Home

from flyball.core import BadInput, StoreUnavailable
from flyball.events import Event, Ref, Schema, Verdict, columns, ingest_lines, retry
from flyball.events.client_ids import HALF, check_client_id, client_id, name_in_request, own_name, repeats_among


class Sale(Event):
    shop: Annotated[int, Ref("shop")]
    amount: float
    note: str | None = None


class Order(Event):
    natural_key = ("number",)
    number: Annotated[int, Ref("order")]
    amount: float = 0.0


class Ping(Event):
    keyed = False
    value: int


class Ticket(Event):
    id: Annotated[int, Ref("ticket")]


JSON = columns()["jsonl"]
TYPES = (Sale, Order, Ping, Ticket)


@pytest.fixture
def home(tmp_path: Path) -> Any:
    home = Home(tmp_path, Schema(TYPES))
    yield home
    home.close()


def sale(**more: Any) -> str:
    return json.dumps({"type": "sale", "shop": 7, "amount": 9.5, **more})


def verdicts(home: Home, *lines: str, **options: Any) -> list[str]:
    home.clock.advance_us(1_000_000)
    return [verdict.reason or verdict.verdict for verdict in home.verdicts(list(lines), format=JSON, **options)]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "ax", "ay", "bx"])), max_size=8))
def test_repeats_are_those_of_a_log_that_takes_them_in_turn(sent: list[tuple[int, str]]) -> None:
    events = [(number, b"" if not name else name.encode() * HALF) for number, name in sent]
    pairs = [(number, client and client[:1] * HALF + client[1:2] * HALF) for number, client in events]
    kept: list[tuple[int, bytes]] = []
    expected: tuple[list[int], list[int]] = [], []
    for index, (number, client) in enumerate(pairs):
        if any(number == old or (client and client == old_client) for old, old_client in kept):
            expected[0].append(index)
        elif client and any(client[:HALF] == old_client[:HALF] for _, old_client in kept):
            expected[1].append(index)
        else:
            kept.append((number, client))
    assert repeats_among(pairs, set(), set()) == expected


def test_a_client_id_tells_what_was_said_and_the_content_apart() -> None:
    ids = {
        client_id(name, content)
        for name in (own_name("a"), own_name("b"), name_in_request("a", 0), name_in_request("a", 1))
        for content in (b"12345678", b"87654321")
    }
    assert len(ids) == 8
    assert len({known[:HALF] for known in ids}) == 4
    assert all(known[0] >= 0xF8 and len(known) == 16 for known in ids)


@pytest.mark.parametrize("value", [True, 1.5, "", "x" * 201, "a\nb", [], {}])
def test_what_is_no_id_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="id must be text of 1 to 200 printable characters, or a whole number"):
        check_client_id(value)


def test_an_event_without_a_time_that_is_sent_again_under_its_id_is_in_the_log_once(home: Home) -> None:
    assert verdicts(home, sale(), sale()) == ["accepted", "duplicate"]  # at once: the same time
    assert verdicts(home, sale(), sale(id="a"), sale(id="b"), sale(id="a")) == ["accepted"] * 3 + ["duplicate"]
    assert verdicts(home, sale(id="a"), sale(id="b"), sale(id=7), sale(id="7")) == [
        *("duplicate", "duplicate", "accepted", "duplicate")
    ]
    assert len(home.records()) == 5


def test_the_first_content_of_an_id_stands_and_another_goes_to_quarantine(home: Home) -> None:
    assert verdicts(home, sale(id="a"), sale(id="a", amount=1)) == ["accepted", "conflict"]
    assert verdicts(home, sale(id="a", amount=1), sale(id="a", shop=8)) == ["conflict"] * 2
    assert [record.key for record in home.records()] == ["7"]
    assert [entry.reason for entry in home.quarantine.list()] == ["conflict"] * 3
    assert retry(home.inlet()).still_bad == 3


def test_the_time_is_not_compared(home: Home) -> None:
    first, later = "2023-11-14T10:00:00Z", "2023-11-14T10:00:05Z"
    assert verdicts(home, sale(id="a", at=first), sale(id="a", at=later), sale(id="a")) == [
        *("accepted", "duplicate", "duplicate")
    ]
    assert verdicts(home, sale(at=later), key="k") == ["accepted"]
    assert verdicts(home, sale(at=first), key="k") == ["duplicate"]


def test_a_key_of_a_request_names_each_event_by_its_position(home: Home) -> None:
    body = [sale(), sale(), sale(amount=2)]
    assert verdicts(home, *body, key="k") == ["accepted"] * 3
    assert verdicts(home, *body, key="k") == ["duplicate"] * 3
    assert verdicts(home, *body, sale(), key="k") == ["duplicate"] * 3 + ["accepted"]
    assert verdicts(home, *body[::-1], key="k") == ["conflict", "duplicate", "conflict"]
    assert verdicts(home, *body, key="other") == ["accepted"] * 3


def test_an_event_with_a_time_is_the_same_under_any_key(home: Home) -> None:
    timed = sale(at="2023-11-14T10:00:00Z")
    assert verdicts(home, timed, key="k") == ["accepted"]
    assert verdicts(home, timed, key="other") == ["duplicate"]
    assert verdicts(home, timed) == ["duplicate"]
    assert verdicts(home, sale(at="2023-11-14T10:00:00Z", amount=1), key="k") == ["conflict"]


def test_a_declared_natural_key_stays_the_identity(home: Home) -> None:
    order = '{"type": "order", "number": 5, "amount": 2, "id": "%s"}'
    assert verdicts(home, order % "a", order % "b", order % "a") == ["accepted", "duplicate", "duplicate"]
    assert verdicts(home, '{"type": "order", "number": 6}', key="k") == ["accepted"]
    assert verdicts(home, '{"type": "order", "number": 7}', key="k") == ["conflict"]


def test_an_event_without_references_stays_in_its_partition(home: Home) -> None:
    ping = '{"type": "ping", "value": 1}'
    assert verdicts(home, ping, key="k") == ["accepted"]
    assert verdicts(home, ping, key="k") == ["duplicate"]


def test_a_field_called_id_is_a_field(home: Home) -> None:
    ticket = '{"type": "ticket", "id": 3}'
    assert verdicts(home, ticket) == ["accepted"]
    assert verdicts(home, ticket) == ["accepted"]  # at another time
    assert verdicts(home, '{"type": "ticket", "id": 4}', key="k") == ["accepted"]
    assert verdicts(home, '{"type": "ticket", "id": 4}', key="k") == ["duplicate"]


def test_a_bad_id_goes_to_quarantine_with_its_line(home: Home) -> None:
    assert verdicts(home, sale(id=""), sale(id=None)) == ["bad_text", "accepted"]


def test_the_ids_of_a_file_are_those_of_its_lines_and_of_a_mapped_column(home: Home) -> None:
    lines = "".join(sale(at=5, id=number % 3) + "\n" for number in range(9))
    assert home.ingest(lines, "jsonl", format=JSON).duplicates == 6
    assert home.ingest(lines, "jsonl", format=JSON).accepted == {}
    rows = "receipt,shop,amount,at,id\nr1,7,1,5,x\nr1,7,1,6,y\nr2,7,1,5,z\n"
    mapped, plain = columns(rename={"receipt": "id"})["csv"], columns()["csv"]
    report = home.ingest(rows, "csv", format=mapped, only="sale")
    assert (report.accepted, report.duplicates, report.ignored) == ({"sale": 2}, 1, ["id"])
    report = home.ingest(rows, "csv", format=plain, only="sale")
    assert (report.accepted, report.duplicates, report.ignored) == ({"sale": 2}, 1, ["id", "receipt"])


def test_a_retry_after_the_declaration_has_changed_is_still_the_same(tmp_path: Path) -> None:
    home = Home(tmp_path, Schema([Sale]))
    assert verdicts(home, sale(id="a", note="x"), sale(id="b")) == ["accepted"] * 2
    home.close()

    class Later(Event):
        former_names = ("Sale",)
        amount: float
        shop: Annotated[int, Ref("shop")]
        channel: str = "shop"
        note: str | None = None

    later = Home(tmp_path, Schema([Later]))
    assert verdicts(later, sale(id="a", note="x"), sale(id="b"), sale(id="b", channel="web")) == [
        *("duplicate", "duplicate", "conflict")
    ]
    later.close()


class Cut:
    """An appender that loses the reply, or the request."""

    def __init__(self, home: Home, before: bool) -> None:
        self._home, self._before = home, before

    def append(self, records: Any) -> Any:
        if not self._before:
            self._home.log.append(records)
        raise StoreUnavailable("the connection was cut")


class Senders(RuleBasedStateMachine):
    """Requests of several events, sent, cut, sent again, at once by two processes, and after restarts."""

    requests = st.integers(0, 4)

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._homes = [Home(Path(self._folder.name), Schema(TYPES)) for _ in range(2)]
        self._kept: dict[tuple[int, int], float] = {}
        self._time = itertools.count(1)

    def teardown(self) -> None:
        for home in self._homes:
            home.close()
        self._folder.cleanup()

    def _lines(self, request: int, other: bool, by_id: bool) -> list[str]:
        ids: list[dict[str, Any]] = [{"id": f"{request}/{position}"} if by_id else {} for position in range(2)]
        return [sale(amount=request + other, **own) for own in ids]

    def _send(self, process: int, request: int, other: bool, **inlet: Any) -> list[Verdict]:
        home, by_id = self._homes[process], request % 2 == 0
        home.clock.move_to_us(NOW_US + next(self._time) * 1_000)
        source = home.source("jsonl", name="http", format=JSON, key="" if by_id else str(request))
        lines = [line.encode() for line in self._lines(request, other, by_id)]
        return ingest_lines(lines, source, home.inlet(**inlet)).verdicts

    def _expect(self, request: int, other: bool) -> list[str]:
        content, expected = request + float(other), []
        for position in range(2):
            if (request, position) not in self._kept:
                self._kept[request, position] = content
                expected.append("accepted")
            else:
                expected.append("duplicate" if self._kept[request, position] == content else "quarantined")
        return expected

    @rule(process=st.integers(0, 1), request=requests, other=st.booleans())
    def send(self, process: int, request: int, other: bool) -> None:
        sent = self._send(process, request, other)
        assert [verdict.verdict for verdict in sent] == self._expect(request, other)

    @rule(process=st.integers(0, 1), request=requests, before=st.booleans())
    def send_and_lose(self, process: int, request: int, before: bool) -> None:
        with pytest.raises(StoreUnavailable):
            self._send(process, request, False, appender=Cut(self._homes[process], before))
        if not before:
            self._expect(request, False)

    @rule(process=st.integers(0, 1))
    def restart(self, process: int) -> None:
        self._homes[process].close()
        self._homes[process] = Home(Path(self._folder.name), Schema(TYPES))

    @invariant()
    def each_event_is_in_the_log_once_with_its_first_content(self) -> None:
        home = self._homes[0]
        amounts = [home.schema.decode(record).amount for record in home.records()]  # type: ignore[attr-defined]
        assert sorted(amounts) == sorted(self._kept.values())


TestSenders = Senders.TestCase
TestSenders.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
