"""`flyball ingest --batch`, `ingest batches` and `ingest undo`: a file is taken back as a whole, and comes again."""

from pathlib import Path

from tests.cli.conftest import Run

from flyball.registry import Registry

SALES = "".join(
    f'{{"type":"buy","visitor":{number},"item":"toys-04","price":5.0,"at":"2026-05-01T00:00:{number:02d}Z"}}\n'
    for number in range(1, 5)
)


def test_a_file_that_was_ingested_as_a_batch_is_taken_back_and_ingested_again(shop: Run) -> None:
    Path("may.jsonl").write_text(SALES + "not json\n")
    shop("ingest", "shop.py", "-", "--as", "history", stdin=SALES.splitlines()[0])
    assert shop("ingest", "shop.py", "may.jsonl", "--batch", "may 1").code == 2
    first = shop("ingest", "shop.py", "may.jsonl", "--batch", "may-1", "--json").last
    assert (first["accepted"], first["duplicates"], first["quarantined"]) == ({"buy": 3}, 1, {"decode": 1})
    (batch,) = shop("ingest", "batches", "shop.py", "--json").last["batches"]
    assert (batch["name"], batch["events"], len(batch["quarantined"])) == ("may-1", {"buy": 3}, 1)
    assert shop("ingest", "batches", "shop.py").out.splitlines()[1].split()[:4] == ["may-1", "3", "buy", "1"]

    assert shop("ingest", "undo", "shop.py", "may-2", "--yes").code == 2
    assert shop("ingest", "undo", "shop.py", "may-1", stdin="n\n").code == 1
    report = shop("ingest", "undo", "shop.py", "may-1", "--yes", "--json").last
    assert report["removed"] == {"events": 3, "predictions": 0, "quarantine": 1}
    assert report["versions"]["learned"] == []
    assert shop("ingest", "batches", "shop.py").out.startswith("no batches: ")
    assert shop("quarantine", "list", "shop.py").out == "nothing in quarantine\n"
    assert shop("export", "shop.py", "buy", "--json").last["rows"] == 1

    assert shop("ingest", "shop.py", "may.jsonl", "--batch", "may-1", "--json").last["accepted"] == {"buy": 3}
    undone = shop("ingest", "undo", "shop.py", "may-1", "--reason", "wrong shop", "--yes")
    assert undone.out.splitlines()[-1] == "took back 3 events, 1 line in quarantine"
    trail = Registry(f"sqlite://{Path('.flyball/shop').absolute()}/registry.db").audit()
    assert [(entry.subject, entry.reason) for entry in trail if entry.action == "ingest undo"] == [
        ("may-1", "by hand"),
        ("may-1", "wrong shop"),
    ]
