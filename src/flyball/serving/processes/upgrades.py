"""Answers a request that asks for another protocol as if it did not, which a server may (RFC 9110, 7.8).

Java's HTTP client and `curl --http2` ask for HTTP/2 with their first request, whatever it is. The parser takes what
follows such a head for the other protocol: the body would be read as the next request, and whoever can choose a body
could choose a request with the headers of a trusted proxy. So the head is parsed a second time without the wish.
"""

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


def _new_parser(connection: HttpToolsProtocol) -> HttpRequestParser:
    """As uvicorn makes it: what follows a request that asks to close is left alone, and this request is answered."""
    parser = HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


class IgnoringUpgrade(HttpToolsProtocol):
    """A connection of which `feed` parses what came. A subclass passes no head on for which `is_set_aside`."""

    _without = b""  # the head that was set aside, without the wish for another protocol

    def feed(self, data: bytes) -> None:
        """Parse a part; what is no HTTP/1.1 is refused."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            head, self._without = self._without, b""
            if head:
                self.parser = _new_parser(self)  # a head that also asks to close has ended the former one
                self.feed(head + data[upgrade.args[0] :])
            else:
                self.send_400_response("method must not be CONNECT")
        except HttpParserError:
            self.send_400_response("request must be HTTP/1.1")

    def is_set_aside(self) -> bool:
        """Whether the head that is in asks for another protocol, so that it is parsed a second time."""
        if not self.parser.should_upgrade():
            return False
        method = self.parser.get_method()
        if method != b"CONNECT":
            lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())]
            lines += [
                b"%s: %s" % (name, value) for name, value in self.headers if name not in (b"upgrade", b"connection")
            ]
            wishes = [
                token.strip() for name, value in self.headers if name == b"connection" for token in value.split(b",")
            ]
            kept = [token for token in wishes if token.lower() not in (b"upgrade", b"http2-settings")]
            lines += [b"connection: " + b", ".join(kept)] if kept else []
            self._without = b"\r\n".join(lines) + b"\r\n\r\n"
        return True
