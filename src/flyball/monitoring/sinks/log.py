"""Notifications in the log of the process that sends them."""

import logging

from flyball.monitoring.incidents.notification import Notification
from flyball.monitoring.sinks.sink import SinkAddress, check_options

_logger = logging.getLogger("flyball.incidents")


class LogSink:
    """`log://`: a warning for each message of high severity, information for others."""

    def __init__(self, address: SinkAddress) -> None:
        check_options(address, (), needs_host=False)

    def send(self, notification: Notification) -> None:
        level = logging.WARNING if notification.severity == "high" else logging.INFO
        _logger.log(level, "%s", "; ".join((notification.title, *notification.lines)))
