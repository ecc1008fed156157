"""Origins of web pages, as browsers send them: a scheme, a host and a port."""

from urllib.parse import urlsplit

from flyball.core.errors import BadInput


def check_origin(origin: str, what: str = "origin") -> str:
    """The origin as browsers send it; raises `BadInput` for what is none.

    >>> check_origin("https://Shop.example:443")
    'https://shop.example'
    """
    must = "a scheme, a host and if need be a port, such as https://shop.example (no path, no *)"
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        raise BadInput(what, must, origin) from None
    plain = parts.scheme in ("http", "https") and parts.hostname and not (parts.path + parts.query + parts.fragment)
    if not plain or "*" in origin or parts.username is not None or any(letter in origin for letter in " ,"):
        raise BadInput(what, must, origin)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")
