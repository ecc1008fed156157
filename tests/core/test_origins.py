"""An origin is what a browser sends; anything else that looks like it is refused."""

import pytest

from flyball.core import BadInput, check_origin


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example", "shop.example", "https://a/b", "https://u@a", "ftp://a", "https://a:x", "null"]
)
def test_an_origin_is_what_a_browser_sends(origin: str) -> None:
    with pytest.raises(BadInput, match="origin must be a scheme, a host and if need be a port"):
        check_origin(origin)
