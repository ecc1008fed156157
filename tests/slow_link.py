"""A TCP link to a server of a test, which may be slow, stuck or cut."""

import socket
import threading
import time
from contextlib import suppress
from typing import Literal

Mode = Literal["fast", "slow", "stuck"]
DELAY_S = 0.02
"""By how much a slow link delays what it carries, in each direction."""


class SlowLink:
    """Carries connections from `port` of this machine to (host, port) of a server."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self.mode: Mode = "fast"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self) -> None:
        """Reset all connections; new ones are carried as before."""
        sockets, self._sockets = self._sockets, []
        for end in sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the wait for a connection
        self._accepting.join()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                threading.Thread(target=self._carry_both, args=(near, far), daemon=True).start()

    def _carry_both(self, near: socket.socket, far: socket.socket) -> None:
        back = threading.Thread(target=self._carry, args=(far, near), daemon=True)
        back.start()
        self._carry(near, far)
        back.join()
        near.close()
        far.close()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if self.mode == "slow":
                    time.sleep(DELAY_S)
                while self.mode == "stuck" and not self._ended.is_set():
                    time.sleep(0.005)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
