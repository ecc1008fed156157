"""Notifications by e-mail over SMTP (RFC 5321), encrypted by STARTTLS (RFC 3207) or from the start."""

import smtplib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from flyball.core import BadSetting, StoreUnavailable
from flyball.monitoring.incidents.notification import Notification
from flyball.monitoring.sinks.sink import SinkAddress, check_options

_TLS = ("starttls", "none")


class MailSink:
    """`smtp://user:password@host:587?from=...&to=...`, or `smtps://` with TLS from the start.

    `to`: addresses, comma-separated; those on call whose name is an address get it, too. `tls=none`: not encrypted, and
    then without a password.
    """

    def __init__(self, address: SinkAddress) -> None:
        check_options(address, ("from", "to", "tls"))
        self._address = address
        self._tls = "tls" if address.secure else address.options.get("tls", "starttls")
        if not address.secure and self._tls not in _TLS:
            raise BadSetting(f"tls of sink {address.name} must be {' or '.join(_TLS)}, got {self._tls!r}")
        if self._tls == "none" and address.password:
            raise BadSetting(f"sink {address.name} must be encrypted to have a password, got tls=none: leave tls out")
        self._from = address.options.get("from", "")
        self._to = [name.strip() for name in address.options.get("to", "").split(",") if name.strip()]
        for option, addresses in (("from", [self._from]), ("to", self._to)):
            if not addresses or not all("@" in name for name in addresses):
                got = address.options.get(option, "")
                raise BadSetting(f"{option} of sink {address.name} must be an e-mail address, got {got!r}")

    def send(self, notification: Notification) -> None:
        message = self.message(notification)
        try:
            with self._connect() as server:
                if self._tls == "starttls":
                    server.starttls(context=self._address.tls())
                if self._address.user:
                    server.login(self._address.user, self._address.password)
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            where = f"{self._address.host} must take the e-mail"
            raise StoreUnavailable(f"{where}, got {type(error).__name__}: {error}") from None

    def message(self, notification: Notification) -> EmailMessage:
        """The e-mail: the same identifier each time it is sent, and one thread for each incident."""
        message = EmailMessage()
        message["Subject"] = " ".join(f"[{notification.app}] {notification.title}".split())
        message["From"] = self._from
        people = [name for name in notification.to if "@" in name]
        message["To"] = ", ".join(dict.fromkeys([*self._to, *people]))
        message["Date"] = format_datetime(datetime.fromtimestamp(notification.at_us / 1e6, UTC))
        domain = self._from.rpartition("@")[2].strip("> ")
        message["Message-ID"] = f"<flyball.{notification.app}.{notification.number}@{domain}>"
        if notification.incident:
            thread = f"<flyball.{notification.app}.{notification.incident}@{domain}>"
            message["References"] = thread
            message["In-Reply-To"] = thread
        if notification.severity == "high":
            message["X-Priority"] = "1"
        message.set_content("\n".join((notification.title, "", *notification.lines)) + "\n")
        return message

    def _connect(self) -> smtplib.SMTP:
        address = self._address
        if address.secure:
            return smtplib.SMTP_SSL(address.host, address.port or 465, timeout=address.timeout_s, context=address.tls())
        return smtplib.SMTP(address.host, address.port or 587, timeout=address.timeout_s)
