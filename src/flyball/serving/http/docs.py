"""The documentation page: a single file that works without a network, and says nothing of the service by itself.

It reads `/openapi.json`, with a key that whoever reads the page enters where one is needed. Since a key is typed into
it, no other script may run in it, no other page may frame it, and it sends nothing elsewhere.
"""

import base64
import re
from hashlib import sha256
from pathlib import Path

_PAGE = Path(__file__).with_name("docs.html").read_bytes()


def docs_page() -> tuple[bytes, dict[str, str]]:
    """(the page, the headers that it comes with)"""
    own = f"script-src {_hash_of('script')}; style-src {_hash_of('style')}; connect-src 'self'; img-src data:"
    policy = f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return _PAGE, {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }


def _hash_of(tag: str) -> str:
    """The source of the only script or style sheet that is allowed, as a policy names it."""
    (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>".encode(), _PAGE, re.DOTALL)
    return f"'sha256-{base64.b64encode(sha256(inside).digest()).decode()}'"
