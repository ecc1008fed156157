"""`flyball backup` and `flyball restore`: made, listed, verified, restored and deleted."""

import re
from pathlib import Path

from tests.cli.conftest import Run


def test_a_backup_is_made_listed_verified_restored_and_deleted(shop: Run) -> None:
    sale = '{"type":"buy","visitor":1,"item":"toys-04","price":5.0,"at":"2026-05-01T00:00:01Z"}'
    shop("ingest", "shop.py", "-", "--as", "history", stdin=sale)
    made = shop("backup", "shop.py", "--to", "copies", "--json").last
    assert (made["app"], made["records"]["events"], made["stored"]) == ("shop", 1, made["bytes"])
    assert shop("backup", "shop.py", "--to", "copies").code == 0
    listed = shop("backup", "list", "copies", "--json").last["backups"]
    assert (listed[0]["id"], len(listed)) == (made["id"], 2)
    verified = shop("backup", "verify", "copies")
    assert verified.code == 0
    assert {line.split(":")[0] for line in verified.out.splitlines()} == {backup["id"] for backup in listed}

    assert shop("restore", "copies", "--home", "again", "--id", made["id"], "--json").last["restored"] == "again"
    assert shop("export", "shop.py", "buy", "--home", "again", "--json").last["rows"] == 1
    said = shop("restore", "copies", "--home", "said", "--id", made["id"]).err
    assert re.search(r"as of 20\d\d-.+Z: people who were erased after that are in it again", said)
    refused = shop("restore", "copies", "--home", "again")
    assert (refused.code, "must be empty to be restored" in refused.err) == (1, True)

    for chunk in [path for path in Path("copies/chunks").rglob("*") if path.is_file()]:
        whole = chunk.read_bytes()
        chunk.write_bytes(b"other")
        both = shop("backup", "verify", "copies", "--json")
        if len(both.last["damaged"]) == 2:  # of the parts that did not change between the backups
            break
        chunk.write_bytes(whole)
    assert (both.code, len(both.last["damaged"]), both.last["verified"]) == (1, 2, [])
    assert both.err.count("this backup cannot be used") == 2
    assert shop("backup", "shop.py", "--to", "copies").code == 0
    assert shop("backup", "verify", "copies").code == 0
    assert shop("backup", "delete", "copies", made["id"], stdin="n\n").code == 1
    assert shop("backup", "delete", "copies", made["id"], "--yes", "--json").last["deleted"] == made["id"]
    assert made["id"] not in shop("backup", "list", "copies").out
    assert shop("restore", "none", "--home", "empty").code == 2
