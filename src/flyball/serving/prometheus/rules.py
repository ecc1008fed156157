"""Recording and alert rules for Prometheus, made from an application.

Names of recorded series follow Prometheus' convention `level:metric:operations`. Each rule selects by `job`, which
every scraped series has.
"""

from typing import Any

import msgspec

from flyball.app import App
from flyball.policy import GUARDRAILS
from flyball.serving.metrics import LATENCY_MS

_OF_VERSIONS = "champion|chosen"
"""The fallback levels at which the version answers that should."""


class RuleLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Above which values alerts fire: shares of answers that are errors, late or not by their version, seconds by which
    the state and consumers lag, and the share of events that are set aside."""

    errors: float = 0.01
    late: float = GUARDRAILS["late"]
    fallback: float = 0.05
    stale_s: float = 10.0
    lag_s: float = 60.0
    quarantined: float = 0.05


def prometheus_rules(app: App, job: str = "", limits: RuleLimits | None = None) -> dict[str, Any]:
    """The document of a rule file. `job`: that of the scrape configuration, by default the application's name."""
    job = job or app.name
    return {
        "groups": [
            {"name": f"{job}_recorded", "interval": "15s", "rules": _recorded(app, _Selector(job))},
            {"name": f"{job}_alerts", "rules": _alerts(_Selector(job), limits or RuleLimits())},
        ]
    }


def scrape_configuration(job: str, target: str) -> dict[str, Any]:
    """The part of prometheus.yml that scrapes an application: `target` is one of its addresses, host:port.

    One address is enough: each serving process answers for all.
    """
    return {"scrape_configs": [{"job_name": job, "scrape_interval": "15s", "static_configs": [{"targets": [target]}]}]}


class _Selector(msgspec.Struct, frozen=True):
    """Selects series of a job."""

    job: str

    def __call__(self, metric: str, *matchers: str) -> str:
        return f"{metric}{{{', '.join((f'job={_quoted(self.job)}', *matchers))}}}"

    def rate(self, metric: str, *matchers: str, by: str = "job") -> str:
        return f"sum by ({by}) (rate({self(metric, *matchers)}[5m]))"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def deadline_bucket(app: App) -> str:
    """The bound of the latency histogram that stands for the deadline: the least that is not below it, in seconds."""
    deadline_ms = app.task.about.deadline_us / 1_000
    bound = next((bound for bound in LATENCY_MS if bound >= deadline_ms), None)
    return "+Inf" if bound is None else repr(bound / 1_000)


def _recorded(app: App, of: _Selector) -> list[dict[str, str]]:
    deadline = f'le="{deadline_bucket(app)}"'
    every, answered = of.rate("flyball_answer_seconds_bucket", 'le="+Inf"'), of.rate("flyball_answers_total")
    in_time = of.rate("flyball_answer_seconds_bucket", deadline)
    by_version = of.rate("flyball_answers_total", f'level=~"{_OF_VERSIONS}"')
    errors, requests = of.rate("flyball_http_total", 'status="5xx"'), of.rate("flyball_http_total")
    set_aside = of.rate("flyball_events_total", 'verdict="quarantined"')
    buckets = of.rate("flyball_answer_seconds_bucket", by="job, le")
    rules = {
        "job:flyball_answers:rate5m": answered,
        "job_level:flyball_answers:rate5m": of.rate("flyball_answers_total", by="job, level"),
        "job:flyball_answers_fallback:ratio_rate5m": f"1 - {by_version} / {answered}",
        "job:flyball_http_errors:ratio_rate5m": f"{errors} / {requests}",
        "job:flyball_answers_late:ratio_rate5m": f"1 - {in_time} / {every}",
        "job:flyball_answer_seconds:p50_5m": f"histogram_quantile(0.5, {buckets})",
        "job:flyball_answer_seconds:p99_5m": f"histogram_quantile(0.99, {buckets})",
        "job:flyball_events_quarantined:ratio_rate5m": f"{set_aside} / {of.rate('flyball_events_total')}",
    }
    return [{"record": name, "expr": expression} for name, expression in rules.items()]


def _alerts(of: _Selector, limits: RuleLimits) -> list[dict[str, Any]]:
    return [*_availability(of, limits), *_freshness(of, limits), *_incidents(of)]


def _availability(of: _Selector, limits: RuleLimits) -> list[dict[str, Any]]:
    """Whether users get answers, in time and by the version that should."""
    return [
        _alert("FlyballDown", f"{of('up')} == 0", "1m", "high", "no serving process answers on {{ $labels.instance }}"),
        _alert("FlyballAbsent", f"absent({of('up')})", "5m", "high", f"nothing is scraped as job {of.job}"),
        _alert("FlyballNotReady", f"{of('flyball_ready')} == 0", "1m", "high", "no process can answer: see /readyz"),
        _alert(
            "FlyballErrors",
            f"{of('job:flyball_http_errors:ratio_rate5m')} > {limits.errors:g}",
            "5m",
            "high",
            "{{ $value | humanizePercentage }} of HTTP answers are errors (5xx)",
        ),
        _alert(
            "FlyballLateAnswers",
            f"{of('job:flyball_answers_late:ratio_rate5m')} > {limits.late:g}",
            "10m",
            "high",
            "{{ $value | humanizePercentage }} of answers come after the deadline",
        ),
        _alert(
            "FlyballFallback",
            f"{of('job:flyball_answers_fallback:ratio_rate5m')} > {limits.fallback:g}",
            "10m",
            "high",
            "{{ $value | humanizePercentage }} of answers are not by the version that should answer",
        ),
        _alert(
            "FlyballVersionRefused",
            f"{of('flyball_version_refused')} > 0",
            "5m",
            "high",
            "{{ $labels.version }} is released and out of service: {{ $labels.reason }}",
        ),
    ]


def _freshness(of: _Selector, limits: RuleLimits) -> list[dict[str, Any]]:
    """Whether what answers are made from is fresh, and nothing is lost."""
    dropped = f"increase({of('flyball_predictions_total', 'fate=' + _quoted('dropped'))}[10m]) > 0"
    reported = of("flyball_worker_report_timestamp_seconds")
    return [
        _alert(
            "FlyballStateStale",
            f"{of('flyball_stale_seconds')} > {limits.stale_s:g}",
            "5m",
            "high",
            "answers are made from a state {{ $value | humanizeDuration }} old",
        ),
        _alert(
            "FlyballConsumerLag",
            f"{of('flyball_consumer_lag_seconds')} > {limits.lag_s:g}",
            "5m",
            "low",
            "consumer {{ $labels.consumer }} is {{ $value | humanizeDuration }} behind",
        ),
        _alert(
            "FlyballConsumerFailing",
            f"{of('flyball_consumer_failing')} > 0",
            "5m",
            "high",
            "consumer {{ $labels.consumer }} fails: see flyball status",
        ),
        _alert("FlyballWorkerSilent", f"time() - {reported} > 30", "1m", "high", "the log worker does not report"),
        _alert("FlyballPredictionsDropped", dropped, "0m", "high", "records of answers are lost"),
        _alert(
            "FlyballEventsQuarantined",
            f"{of('job:flyball_events_quarantined:ratio_rate5m')} > {limits.quarantined:g}",
            "10m",
            "low",
            "{{ $value | humanizePercentage }} of events are set aside: see flyball quarantine list",
        ),
    ]


def _incidents(of: _Selector) -> list[dict[str, Any]]:
    """Incidents that nobody looks at, and notifications that do not arrive."""
    unclaimed = of("flyball_incidents", 'severity="high"', 'state=~"open|reopened"')
    return [
        _alert(
            "FlyballIncidentUnclaimed",
            f"sum by (job) ({unclaimed}) > 0",
            "15m",
            "high",
            "{{ $value }} incidents of high severity, and nobody looks at them: see flyball incidents list",
        ),
        _alert(
            "FlyballIncidentOverdue",
            f"{of('flyball_incidents_overdue')} > 0",
            "0m",
            "high",
            "{{ $value }} incidents were not mitigated in time",
        ),
        _alert(
            "FlyballSinkFailing",
            f"{of('flyball_sink_failing')} > 0",
            "15m",
            "low",
            "sink {{ $labels.sink }} fails: see flyball incidents sinks",
        ),
    ]


def _alert(name: str, expression: str, lasts: str, severity: str, summary: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": lasts,
        "labels": {"severity": severity},
        "annotations": {"summary": "{{ $labels.job }}: " + summary},
    }
