"""A real browser that does what a test tells it, over a pipe and its own protocol (CDP)."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


class Navigated(Exception):
    """A script could not run, as its page was not there yet."""


class Browser:
    """An open page; `evaluate` runs a script in it, and waits for its promise."""

    def __init__(self, reader: asyncio.StreamReader, sends: int) -> None:
        self._reader, self._sends, self._number, self._session = reader, sends, 0, ""

    async def open(self, url: str) -> None:
        target = (await self._command("Target.createTarget", url=url))["targetId"]
        self._session = (await self._command("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]

    async def evaluate(self, script: str) -> Any:
        result = await self._command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until the script is true in the page."""
        while True:
            with suppress(Navigated):
                if await self.evaluate(f"Boolean({script})"):
                    return
            await asyncio.sleep(0.02)

    async def _command(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._sends, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise Navigated(answer["error"]["message"])
                result: dict[str, Any] = answer["result"]
                return result


@asynccontextmanager
async def browsing(chromium: str, folder: Path, url: str) -> AsyncIterator[Browser]:
    """A browser of its own with the page at `url`."""
    its_in, our_out = os.pipe()
    our_in, its_out = os.pipe()
    command = f'exec "$0" "$@" 3<&{its_in} 4>&{its_out}'
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        command,
        chromium,
        *FLAGS,
        f"--user-data-dir={folder}",
        "--remote-debugging-pipe",
        pass_fds=(its_in, its_out),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(its_in)
    os.close(its_out)
    reader = asyncio.StreamReader(limit=1 << 24)
    pipe = os.fdopen(our_in, "rb")
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        browser = Browser(reader, our_out)
        async with asyncio.timeout(120):
            await browser.open(url)
            yield browser
    finally:
        process.terminate()
        await process.wait()
        transport.close()
        os.close(our_out)
