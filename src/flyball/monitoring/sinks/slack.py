"""Notifications as Slack takes them at an incoming webhook; Mattermost and Rocket.Chat take the same form."""

from typing import Any

from flyball.monitoring.incidents.notification import Notification
from flyball.monitoring.sinks.posting import post_json
from flyball.monitoring.sinks.sink import SinkAddress, check_options

_HEADER, _SECTION = 150, 3_000
"""The most characters of a header and of a section block that Slack accepts."""


class SlackSink:
    """`slack+https://hooks.slack.com/services/T.../B.../SECRET`."""

    def __init__(self, address: SinkAddress) -> None:
        check_options(address, ())
        self._address = address

    def send(self, notification: Notification) -> None:
        post_json(
            self._address,
            self._address.path or "/",
            slack_document(notification),
            {"x-flyball-notification": f"{notification.app}-{notification.number}"},
        )


def slack_document(notification: Notification) -> dict[str, Any]:
    """The text of the push message, and the blocks of the message itself."""
    lines = [*notification.lines, *([f"for {', '.join(notification.to)}"] if notification.to else [])]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(notification.title, _HEADER)}}
    ]
    if lines:
        body = _cut(_escaped("\n".join(lines)), _SECTION)
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": body}})
    return {"text": _escaped(notification.title), "blocks": blocks}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
