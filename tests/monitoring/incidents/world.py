"""Findings and a home for tests of incidents."""

from pathlib import Path
from typing import Any

import flyball as fb
from flyball.app import load_app
from flyball.core import ManualClock
from flyball.monitoring import Finding, Incident
from flyball.runtime import Runtime, load_settings

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
START = 1_767_571_200_000_000
"""2026-01-05T00:00:00Z."""


def finding(subject: str = "events.Watch.minute", at_us: int = START, **fields: Any) -> Finding:
    known: dict[str, Any] = {
        "monitor": "missing",
        "subject": subject,
        "at_us": at_us,
        "since_us": at_us - HOUR,
        "severity": "low",
        "message": f"14.3 % of {subject} is missing, usually 0.0 %",
        "origin": "own",
        "evidence": {"share": 0.143},
    }
    return Finding(**(known | fields))


def incident(state: str = "open", **fields: Any) -> Incident:
    known: dict[str, Any] = {
        "id": "inc1",
        "app": "shop",
        "state": state,
        "severity": "low",
        "title": "t",
        "group": "events.Buy",
        "origin": "own",
        "opened_us": START,
        "since_us": START,
        "changed_us": START,
        "joined_us": START,
    }
    return Incident(**(known | fields))


def home(folder: Path, **rules: Any) -> Runtime:
    """The runtime of an application with these rules of alerts."""
    runtime = Runtime(load_app("movies"), load_settings(folder), ManualClock(START))
    runtime.app.alerts = fb.alerts(**rules)
    return runtime
