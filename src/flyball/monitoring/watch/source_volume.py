"""Whether each source of a table sends what is usual of it at that time; a table as a whole hides one that stops.

Only a source that sends less, while another one of the table sends as usual, is a matter of that source: where all send
less, the volume of the table says so. Nor is it, where others, or a new source, send what it did: a source that was
renamed, or a file whose events now come over HTTP.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from flyball.core import counted_units, format_duration, format_second
from flyball.monitoring.findings.finding import fingerprint_of
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.findings.one_source import SOURCE_VOLUME, name_of_source
from flyball.monitoring.watch.counted import CountedLook, usual_rows
from flyball.monitoring.watch.followed import WindowRows
from flyball.monitoring.watch.source_rows import SOURCE, sources_of
from flyball.monitoring.watch.volume import VolumeForecast, forecast_volume
from flyball.statistics import e_of_p

MOST_SOURCES = 50
"""Sources of a table that are looked at, those that sent something in the most windows."""
_FEWEST_ROWS, _WEEK_US = 7, 7 * 86_400_000_000
_LEAST_MISSING, _AS_USUAL, _TAKEN_OVER, _FAR_MORE = 0.5, 0.7, 0.5, 1.3
_SEVERE_SHARE = 0.1
"""The share of the rows of a table from which a source that sends half of its own or less is of high severity."""


class _Sent(Struct, frozen=True):
    """What a source sent: `rows` in the window, and what was forecast; None without a week that shows it."""

    counts: WindowRows
    rows: int
    forecast: VolumeForecast | None

    @property
    def expected(self) -> float:
        return 0.0 if self.forecast is None else self.forecast.expected

    @property
    def sends_as_usual(self) -> bool:
        return self.expected >= _FEWEST_ROWS and self.rows >= _AS_USUAL * self.expected

    def beyond_usual(self, windows: Sequence[int], since_us: int) -> float:
        """Rows a window that are far more than in any of three weeks before `since_us`, all of a new source."""
        now = sum(self.counts.get(start, 0) for start in windows)
        weeks = [
            [start - _WEEK_US * (back + (start - since_us) // _WEEK_US) for start in windows] for back in (1, 2, 3)
        ]
        before = max(sum(self.counts.get(start, 0) for start in week) for week in weeks)
        return (now - before) / max(1, len(windows)) if now >= _FAR_MORE * before else 0.0


def observe_sources(
    look: CountedLook, volumes: Mapping[str, WindowRows], names: Mapping[int, str]
) -> Iterator[Observation]:
    """The observations of the sources of all tables that have two or more; `names`: {flags: name}."""
    tables = dict.fromkeys(key.partition(" ")[2] for key in volumes if key.startswith(SOURCE))
    for table in tables:
        sources = sources_of(volumes, table)
        if table in look.ignore or len(sources) < 2:
            continue
        often = sorted(sources, key=lambda flags: (-sum(rows > 0 for rows in sources[flags].values()), flags))
        sent = {
            name_of_source(flags, names): _sent(look, table, sources[flags], name_of_source(flags, names))
            for flags in often
        }
        for name in list(sent)[:MOST_SOURCES]:
            if sent[name].forecast is not None:
                yield _observe(look, table, name, sent)


def subject_of_source(table: str, name: str) -> str:
    """What findings call a source of a table.

    >>> subject_of_source("events.buy", "web")
    'events.buy.source=web'
    """
    return f"{table}.{SOURCE}{name}"


def _sent(look: CountedLook, table: str, rows: WindowRows, name: str) -> _Sent:
    subject = subject_of_source(table, name)
    first_us = max(look.first_us(table), look.first_us(subject))
    begun_us = min(rows, default=0)  # the first window may be a part
    counts = {start: number for start, number in rows.items() if start >= first_us and start > begun_us}
    now = rows.get(look.start_us, 0)
    if not look.enough(counts):
        return _Sent(rows, now, None)
    usual = usual_rows(look.suspects.get(fingerprint_of(SOURCE_VOLUME, subject)), counts, look)
    usual[look.start_us] = now
    return _Sent(rows, now, forecast_volume(usual, look.start_us, look.seasons))


def _observe(look: CountedLook, table: str, name: str, sent: Mapping[str, _Sent]) -> Observation:
    source, others = sent[name], [other for key, other in sent.items() if key != name]
    forecast = source.forecast or VolumeForecast(0.0, 0.0, 0.0, 1.0)
    missing = source.expected - source.rows
    lacks = source.expected >= _FEWEST_ROWS and missing >= _LEAST_MISSING * source.expected
    suspected_us = look.suspects.get(fingerprint_of(SOURCE_VOLUME, subject_of_source(table, name)), look.start_us)
    since_us = min(suspected_us, _silent_since(look, source))
    past_week = range(look.start_us, look.start_us - _WEEK_US, -look.every_us)
    windows = [start for start in past_week if start >= since_us]
    moved = sum(other.beyond_usual(windows, since_us) for other in others) >= _TAKEN_OVER * missing
    usual = sum(other.sends_as_usual for other in others)
    p = forecast.p if missing > 0 and not moved else 1.0
    share = source.expected / max(1.0, sum(part.expected for part in sent.values()))
    seen = Observation(
        "source_volume",
        subject_of_source(table, name),
        float(e_of_p(p)),
        lacks and not moved and usual > 0,
        _message(look, table, name, source),
        "high" if share >= _SEVERE_SHARE else "low",
        "own",
        {"rows": source.rows, "expected": round(source.expected, 1), "p": p, "source": name, "table": table},
    )
    as_usual = f"{counted_units(usual, 'other source')} {'sends' if usual == 1 else 'send'} as usual"
    return replace(seen, message=f"{seen.message}; {as_usual}") if usual else seen


def _silent_since(look: CountedLook, source: _Sent) -> int:
    """The first of the windows up to this one in which the source sent nothing; this one if it sent something."""
    last_us = max((start for start, rows in source.counts.items() if rows and start < look.start_us), default=None)
    return look.start_us if source.rows or last_us is None else last_us + look.every_us


def _message(look: CountedLook, table: str, name: str, source: _Sent) -> str:
    forecast = source.forecast or VolumeForecast(0.0, 0.0, 0.0, 1.0)
    usual = f"expected {forecast.expected:,.0f} ({forecast.low:,.0f} to {forecast.high:,.0f})"
    length = format_duration(look.every_us)
    if source.rows:
        return f"source {name} of {table} sent {counted_units(source.rows, 'row')} in {length}, {usual}"
    since_us = _silent_since(look, source)
    return f"source {name} of {table} sent nothing since {format_second(since_us)}, {usual} in {length}"
