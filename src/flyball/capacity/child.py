"""Main of a serving process that is measured, `python -m flyball.capacity.child DESCRIPTOR`.

It reads the application and its settings from standard input, and accepts connections on a socket that it inherits. It
ends on SIGTERM or with its parent.
"""

import socket
import sys

import msgspec

from flyball.operations import ProcessSpec, read_spec, watch_parent
from flyball.serving import serve


def main(descriptor: str) -> None:
    """Serve on the socket with this number."""
    spec = msgspec.json.decode(read_spec(), type=ProcessSpec)
    watch_parent()
    serve(spec.source, spec.settings, None, "measured", socket.socket(fileno=int(descriptor)))


if __name__ == "__main__":
    main(*sys.argv[1:])
