"""The documentation page: a single file that works without a network."""

from html import escape
from pathlib import Path

_FILE = Path(__file__).with_name("docs.html")


def docs_page(app: str) -> bytes:
    """The page for the application called `app`; it reads `/openapi.json` and shows every operation."""
    return _FILE.read_bytes().replace(b"{{app}}", escape(app).encode())
