"""Addresses of stores: passwords of any characters, options that are known, once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadSetting, Url, parse_url
from flyball.events import open_log, open_quarantine
from flyball.events.kafka.options import read_options
from flyball.stores import open_state

PASSWORD = "a/b@c:d?e#f%41&g=h"


@given(st.text(min_size=1))
def test_a_password_may_have_any_character_when_percent_encoded(password: str) -> None:
    try:
        password.encode()
    except UnicodeEncodeError:
        return
    url = parse_url(f"postgresql://ann:{quote(password, safe='')}@db:5432/shop?schema=x")
    assert (url.user, url.password, url.address) == ("ann", password, "db:5432/shop")


def _redis(url: Url) -> str:
    from flyball.stores.redis import RedisStore

    connection: dict[str, Any] = RedisStore(url)._client.connection_pool.connection_kwargs
    assert (connection["host"], connection["port"], connection["db"]) == ("server", 1234, 0)
    return str(connection["password"])


def _postgres(url: Url) -> str:
    from flyball.core import PostgresServer

    return str(PostgresServer(url, "registry")._parameters["password"])


def _kafka(url: Url) -> str:
    return str(read_options(url).client["sasl.password"])


CLIENTS: list[tuple[str, Callable[[Url], str]]] = [
    ("redis://ann{}@server:1234/0?", _redis),
    ("postgresql://ann{}@server:1234/shop?schema=x&", _postgres),
    ("kafka://ann{}@server:1234/topic?", _kafka),
]


@pytest.mark.parametrize(("template", "read"), CLIENTS)
def test_each_client_gets_the_password_of_the_url_or_of_a_file(
    template: str, read: Callable[[Url], str], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    by_url = template.format(":" + quote(PASSWORD, safe=""))
    by_file = f"{template.format('')}password_file={tmp_path}/secret"
    assert read(parse_url(by_url)) == read(parse_url(by_file)) == PASSWORD
    with pytest.raises(BadSetting, match="must have a password or option password_file, got both"):
        read(parse_url(f"{by_url}&password_file={tmp_path}/secret"))
    with pytest.raises(BadSetting, match="password_file of .* must be a file with the password, got /no/such"):
        read(parse_url(f"{template.format('')}password_file=/no/such"))


@pytest.mark.parametrize("character", "/?#")
def test_a_password_that_ends_the_server_is_refused_with_how_to_write_it(character: str) -> None:
    with pytest.raises(BadSetting, match=r"redis://ann:\*\*\*@cache .*write %2F for /") as refused:
        parse_url(f"redis://ann:s3{character}cret@cache")
    assert "cret" not in str(refused.value)


def test_an_option_that_no_backend_knows_is_refused(tmp_path: Path) -> None:
    for open_, url in (
        (open_state, f"lmdb://{tmp_path}?nmae=shop"),
        (open_state, "redis://cache?nmae=shop"),
        (open_log, f"sqlite://{tmp_path}/e.db?nmae=shop"),
        (open_quarantine, f"sqlite://{tmp_path}/q.db?nmae="),
    ):
        with pytest.raises(BadSetting, match="got 'nmae'"):
            open_(url)
    with pytest.raises(BadSetting, match="option name of redis:// must stand once, got it twice"):
        open_state("redis://cache?name=a&name=b")
