"""Serving: answers requests before their deadline, and records every response.

Promises: a well-formed request gets a response before the deadline, whatever versions and stores do; the response names
its fallback level; every response has one record in the prediction log; a new champion takes over without a dropped
request; malformed requests get a problem document, never a 500.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door

if TYPE_CHECKING:
    from flyball.serving.answering.engine import Engine, NoFallback, ScoringProgress, Serving
    from flyball.serving.answering.request import RequestReader
    from flyball.serving.file_answers import BatchReport, answer_file
    from flyball.serving.http.admission import Admission, check_identity_settings, is_loopback
    from flyball.serving.http.app import make_app
    from flyball.serving.http.origins import Origins
    from flyball.serving.http.problems import problem_body, problem_of
    from flyball.serving.metrics import FAILURES, LATENCY_MS, LEVELS, metrics_text
    from flyball.serving.once import answer_once
    from flyball.serving.processes.connection_limits import ConnectionLimits, connection_limits
    from flyball.serving.processes.dispatcher import Dispatcher
    from flyball.serving.processes.receiver import Receiver
    from flyball.serving.processes.server import REPLACE_ME, run, serve
    from flyball.serving.prometheus.dashboard import Dashboard, expressions_of, grafana_dashboard
    from flyball.serving.prometheus.rules import RuleLimits, prometheus_rules, scrape_configuration
    from flyball.serving.prometheus.yaml import to_yaml
    from flyball.serving.service import Service
    from flyball.serving.shadow import ShadowRunner
    from flyball.serving.versions.item_titles import items_of, titles_of
    from flyball.serving.versions.learned_otherwise import LearnedOtherwise, learned_otherwise
    from flyball.serving.versions.loader import Loaded, VersionLoader
    from flyball.serving.versions.outages import Outage, outages
    from flyball.serving.versions.refresher import Refresher

__all__ = [
    "FAILURES",
    "LATENCY_MS",
    "LEVELS",
    "REPLACE_ME",
    "Admission",
    "BatchReport",
    "ConnectionLimits",
    "Dashboard",
    "Dispatcher",
    "Engine",
    "LearnedOtherwise",
    "Loaded",
    "NoFallback",
    "Origins",
    "Outage",
    "Receiver",
    "Refresher",
    "RequestReader",
    "RuleLimits",
    "ScoringProgress",
    "Service",
    "Serving",
    "ShadowRunner",
    "VersionLoader",
    "answer_file",
    "answer_once",
    "check_identity_settings",
    "connection_limits",
    "expressions_of",
    "grafana_dashboard",
    "is_loopback",
    "items_of",
    "learned_otherwise",
    "make_app",
    "metrics_text",
    "outages",
    "problem_body",
    "problem_of",
    "prometheus_rules",
    "run",
    "scrape_configuration",
    "serve",
    "titles_of",
    "to_yaml",
]

__getattr__ = lazy_door(__name__, __file__)  # a command loads what it uses
