"""Servers that sinks send to: HTTP and SMTP on a free port of this machine, with what they received."""

import base64
import email
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PEM = Path(__file__).parent / "localhost.pem"
"""A certificate for localhost with its key, which no system trusts."""


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Posts(ThreadingHTTPServer):
    """Keeps each POST as (path, document, headers) and answers with `status`."""

    daemon_threads = True

    def __init__(self, secure: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), PostHandler)
        self.status, self.posts = 200, list[tuple[str, Any, dict[str, str]]]()
        if secure:
            self.socket = server_context().wrap_socket(self.socket, server_side=True)

    @property
    def port(self) -> int:
        return self.server_address[1]


class PostHandler(BaseHTTPRequestHandler):
    server: Posts

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.posts.append((self.path, json.loads(body), headers))
        self.send_response(self.server.status)
        self.send_header("content-length", "8")
        self.end_headers()
        self.wfile.write(b"no_token")

    def log_message(self, *_: object) -> None:
        pass


class Mails(socketserver.ThreadingTCPServer):
    """Takes e-mail by SMTP (RFC 5321); keeps (recipients, message, user, whether encrypted).

    `tls`: "starttls", "tls" from the start, or "none". `refuses`: what it answers to a message, "" for taking it.
    """

    daemon_threads = True

    def __init__(self, tls: str = "starttls") -> None:
        super().__init__(("127.0.0.1", 0), MailHandler)
        self.tls, self.refuses = tls, ""
        self.mails = list[tuple[list[str], Message, str, bool]]()

    @property
    def port(self) -> int:
        return self.server_address[1]


class MailHandler(socketserver.BaseRequestHandler):
    server: Mails

    def handle(self) -> None:
        self._encrypted = self.server.tls == "tls"
        connection = self.request
        if self._encrypted:
            connection = server_context().wrap_socket(connection, server_side=True)
        self._user, self._to = "", list[str]()
        with suppress(OSError, ssl.SSLError):
            self._talk(connection)

    def _talk(self, connection: Any) -> None:
        lines = connection.makefile("rwb")
        self._say(lines, "220 localhost")
        while line := lines.readline():
            words = line.decode().split()
            verb = words[0].upper()
            if verb == "STARTTLS":
                self._say(lines, "220 go")
                connection = server_context().wrap_socket(connection, server_side=True)
                lines, self._encrypted = connection.makefile("rwb"), True
            elif verb == "DATA":
                self._say(lines, "354 go on")
                self._take(lines)
            elif verb == "QUIT":
                self._say(lines, "221 bye")
                connection.close()
                return
            else:
                self._say(lines, self._answer(verb, words))

    def _answer(self, verb: str, words: list[str]) -> str:
        if verb == "EHLO":
            offers = ["localhost", *(["STARTTLS"] if self.server.tls == "starttls" else []), "AUTH PLAIN"]
            return "\r\n".join(f"250{'-' if offer != offers[-1] else ' '}{offer}" for offer in offers)
        if verb == "AUTH":
            self._user = base64.b64decode(words[2]).decode().replace("\0", " ").strip()
            return "235 welcome"
        if verb == "RCPT":
            self._to.append(words[1].partition("<")[2].rstrip(">"))
        return "250 ok"

    def _take(self, lines: Any) -> None:
        content = []
        while (line := lines.readline()) != b".\r\n":
            content.append(line)
        if not self.server.refuses:
            message = email.message_from_bytes(b"".join(content))
            self.server.mails.append((self._to, message, self._user, self._encrypted))
        self._say(lines, self.server.refuses or "250 taken")

    @staticmethod
    def _say(lines: Any, text: str) -> None:
        lines.write(f"{text}\r\n".encode())
        lines.flush()
