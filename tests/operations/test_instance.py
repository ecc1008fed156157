"""The port and the address that are asked for."""

import re

import pytest

from flyball.core import BadSetting
from flyball.operations.instance import bind


def test_a_taken_port_and_an_address_of_elsewhere_are_told_apart() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadSetting, match=f"port {port} on 127.0.0.1 must be free, .*; choose another --port"):
            bind("127.0.0.1", port)
    for host in ("nohost.invalid", "192.0.2.1"):
        with pytest.raises(BadSetting, match=f"host must be an address of this machine, got '{re.escape(host)}'"):
            bind(host, 0)
