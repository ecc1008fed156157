"""An option that no backend knows is refused before anything is opened, for each setting and each of its backends."""

from pathlib import Path

import pytest

from flyball.cli.setting_urls import _tables, check_setting_urls
from flyball.core import BadSetting
from flyball.settings import SETTING_NAMES, load_settings, read_settings

ADDRESSES = {
    "sqlite": "{folder}/made/store.db",
    "lmdb": "{folder}/made/store",
    "file": "{folder}/made/files",
    "kafka": "127.0.0.1:1/topic",
    "redis": "127.0.0.1:1/0",
    "postgresql": "127.0.0.1:1/flyball",
    "s3": "bucket/folder",
    "gs": "bucket/folder",
    "az": "bucket/folder",
    "processes": "",
    "ray": "local",
    "otlp+http": "127.0.0.1:1",
    "otlp+https": "127.0.0.1:1",
}
CASES = [(name, scheme) for name, (_, table, _) in _tables().items() for scheme in table if scheme != "memory"]


@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_an_unknown_option_is_refused_and_nothing_is_opened(name: str, scheme: str, tmp_path: Path) -> None:
    url = f"{scheme}://{ADDRESSES[scheme].format(folder=tmp_path)}"
    schema = {"schema": "shop"} if scheme == "postgresql" else {}
    query = "&".join(f"{key}={value}" for key, value in schema.items())
    home = load_settings(tmp_path / "home", options={name: f"{url}?{query}" if query else url})
    sources = dict.fromkeys(SETTING_NAMES, "default")
    check_setting_urls(home, sources)
    wrong = read_settings(
        tmp_path / "home", environment={f"FLYBALL_{name.upper()}": f"{url}?{query}{'&' if query else ''}nme=x"}
    )
    with pytest.raises(BadSetting, match=rf"{name} \(FLYBALL_{name.upper()}\): .*option.* got 'nme'"):
        check_setting_urls(wrong.settings, wrong.sources)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    home = read_settings(tmp_path, options={"state": "rediss://127.0.0.1:1/0"})
    with pytest.raises(BadSetting, match="state"):
        check_setting_urls(home.settings, home.sources)


def test_a_wrong_option_of_a_sink_is_refused(tmp_path: Path) -> None:
    home = read_settings(tmp_path, options={"sinks": ["log://?nme=x"]})
    with pytest.raises(BadSetting, match="nme"):
        check_setting_urls(home.settings, home.sources)
