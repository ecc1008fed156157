"""In a real browser: a declared page reports events with the snippet, also as it is left; other pages write nothing."""

import asyncio
import json
import os
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import uvicorn
from tests.live.browser import FLAGS, browsing
from uvicorn.server import ServerState

from flyball.access import create_key
from flyball.core import SystemClock
from flyball.runtime import Runtime
from flyball.serving import Service, make_app
from flyball.serving.http.short import ShortPaths
from flyball.serving.processes.server import _connections
from flyball.testing import faulty

CHROMIUM = os.environ.get("TEST_CHROMIUM", "")
LONG_S = 120.0

pytestmark = [
    pytest.mark.live,
    pytest.mark.anyio,
    pytest.mark.skipif(not CHROMIUM, reason="a browser comes with scripts/with-chromium"),
]

PAGE = """<!doctype html><title>shop</title><script src="SERVICE/v1/snippet.js" data-key="KEY"></script><script>
const event = (film) => ({ type: "watch", user: 7, film: film });
const post = (more) => fetch("SERVICE/v1/events", { method: "POST", ...more });
const seen = (promise) => promise.then((r) => r.type == "opaque" ? "opaque" : r.status, (e) => "refused");
(async () => {
  const out = {};
  out.snippet = await flyball("watch", { user: 7, film: "film-1" });
  out.plain = await seen(post({ mode: "no-cors", body: JSON.stringify(event("film-2")) }));
  out.typed = await seen(post({ mode: "no-cors", headers: { "content-type": "text/plain" }, body: "type,user\\n" }));
  out.beacon = navigator.sendBeacon("SERVICE/v1/events",
    new Blob([JSON.stringify(event("film-3"))], { type: "application/json" }));
  out.answer = await seen(fetch("SERVICE/v1/recommend?user=7", { headers: { authorization: "Bearer KEY" } }));
  out.image = await new Promise((done) => {
    const image = new Image(); image.onerror = image.onload = () => done("asked"); image.src = "SERVICE/recommend/7";
  });
  await fetch("/done", { method: "POST", body: JSON.stringify(out) });
  flyball("watch", { user: 7, film: "film-4" });
  location = "/left";
})();
</script>"""


LARGE_PAGE = """<!doctype html><title>shop</title><script src="SERVICE/v1/snippet.js" data-key="KEY"></script><script>
const event = (film, bytes) => ({ user: 7, film: film, note: "x".repeat(bytes) });
const said = []; console.error = (text) => said.push(text);
(async () => {
  const out = { said: said };
  out.large = await flyball("watch", event("film-1", 70_000));
  out.next = await flyball("watch", event("film-2", 0));
  out.many = await Promise.all(Array.from({ length: 60 }, (_, n) => flyball("watch", event("film-" + n, 3_000))));
  for (out.more = 1; out.more < 60 && await flyball("watch", event("film-3", 0)) != 200; out.more++)
    await new Promise((done) => setTimeout(done, 250)); // a busy service refuses some, which are sent again
  await fetch("/done", { method: "POST", body: JSON.stringify(out) });
})();
</script>"""


class Pages:
    """A web server with one page, and what the page reports."""

    def __init__(self) -> None:
        self.reports: Queue[dict[str, Any]] = Queue()
        self.page, reports, own = b"", self.reports, self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(own.page if self.path == "/" else b"<!doctype html>left")

            def do_POST(self) -> None:
                reports.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *values: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://localhost:{self.server.server_address[1]}"


@contextmanager
def pages() -> Iterator[Pages]:
    served = Pages()
    thread = threading.Thread(target=served.server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        served.server.shutdown()
        served.server.server_close()
        thread.join()


@asynccontextmanager
async def serving(runtime: Runtime) -> AsyncIterator[str]:
    """The URL of a service over real connections."""
    service = Service(runtime, "test", random.Random(1), clock=SystemClock())
    await service.start()
    connection = _connections(ShortPaths(service))
    config = uvicorn.Config(make_app(service), http=connection, lifespan="off", log_level="error", proxy_headers=False)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: connection(config, state, {}), "127.0.0.1", 0)
    try:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for open_connection in list(state.connections):
            open_connection.transport.abort()
        await service.stop()


async def visit(page: Pages, folder: Path) -> dict[str, Any]:
    """What the page reports in a browser of its own, once it was left."""
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={folder}",
        "--remote-debugging-port=0",
        page.origin,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        report: dict[str, Any] = await asyncio.to_thread(page.reports.get, True, LONG_S)
        await asyncio.sleep(1)  # what is sent as the page is left
        return report
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_declared_page_reports_events_and_another_one_writes_nothing(tmp_path: Path) -> None:
    home = faulty.open_home(tmp_path / "home", SystemClock())
    with pages() as declared, pages() as other:
        now_us = SystemClock().now_us()
        roles, origins = ("serve", "write-events"), [declared.origin]
        _, key = create_key(
            home.registry, roles, random.SystemRandom(), name="page", by="ann", now_us=now_us, origins=origins
        )
        async with serving(home) as url:
            for page in (declared, other):
                page.page = PAGE.replace("SERVICE", url).replace("KEY", key.text).encode()
            before = sum(home.log.ends())
            report = await visit(declared, tmp_path / "declared")
            # without a key in a header nothing is let in: neither what is sent without asking, nor a beacon
            assert report == {"snippet": 200, "plain": "opaque", "typed": "opaque", "beacon": True, "answer": 200} | {
                "image": "asked"
            }
            assert sum(home.log.ends()) == before + 2, "the event of the page, and the event as it was left"
            report = await visit(other, tmp_path / "other")
            assert report["snippet"] == 0
            assert report["answer"] == "refused"
            assert sum(home.log.ends()) == before + 2
    home.state.close()


async def test_a_page_elsewhere_writes_nothing_where_no_key_is_needed(tmp_path: Path) -> None:
    home = faulty.open_home(tmp_path / "home", SystemClock())
    with pages() as other:
        async with serving(home) as url:
            other.page = PAGE.replace("SERVICE", url).replace("KEY", "").encode()
            before, answered = sum(home.log.ends()), sum(home.predictions.ends())
            report = await visit(other, tmp_path / "other")
            assert (report["snippet"], report["answer"], report["image"]) == (0, "refused", "asked")
            assert sum(home.log.ends()) == before
            assert sum(home.predictions.ends()) == answered, "an image cannot ask for a list, either"
    home.state.close()


async def test_events_of_more_bytes_than_a_browser_sends_with_keepalive_are_sent_or_dropped(tmp_path: Path) -> None:
    home = faulty.open_home(tmp_path / "home", SystemClock())
    with pages() as declared:
        _, key = create_key(
            home.registry,
            ("serve", "write-events"),
            random.SystemRandom(),
            name="page",
            by="ann",
            now_us=SystemClock().now_us(),
            origins=[declared.origin],
        )
        async with serving(home) as url:
            declared.page = LARGE_PAGE.replace("SERVICE", url).replace("KEY", key.text).encode()
            before = sum(home.log.ends())
            report = await visit(declared, tmp_path / "declared")
            (said,) = report["said"]
            assert said.startswith("flyball: an event must have at most 60000 bytes, got 701")
            assert (report["large"], report["next"]) == (0, 200), "what is too large keeps nothing else from being sent"
            assert 0 not in report["many"], "the browser refused none of them"
            assert sum(home.log.ends()) == before + 1 + 60 + report["more"]
    home.state.close()


TRY = """(path, values) => {
  const named = (each) => each.querySelector(".path").textContent == path;
  const shown = [...document.querySelectorAll("details")].find(named);
  shown.open = true;
  for (const [name, value] of Object.entries(values)) shown.querySelector(`[name="${name}"]`).value = value;
  shown.querySelector("form").requestSubmit();
  return new Promise((done) => {
    const look = () => {
      const status = shown.querySelector(".outcome b");
      status ? done(status.textContent) : setTimeout(look, 20);
    };
    look();
  });
}"""


async def test_the_documentation_takes_a_key_keeps_it_nowhere_and_sends_it(tmp_path: Path) -> None:
    home = faulty.open_home(tmp_path / "home", SystemClock())
    faulty.fill(home)
    now_us = SystemClock().now_us()
    _, key = create_key(
        home.registry, ("read", "serve", "write-events"), random.SystemRandom(), name="ann", by="ann", now_us=now_us
    )
    async with serving(home) as url, browsing(CHROMIUM, tmp_path / "browser", f"{url}/docs") as browser:
        await browser.until("document.getElementById('access') && !document.getElementById('access').hidden")
        assert await browser.evaluate("document.querySelectorAll('details').length") == 0
        typed = (
            f"document.getElementById('key').value = '{key.text}'; document.getElementById('access').requestSubmit()"
        )
        await browser.evaluate(typed)
        await browser.until("document.querySelectorAll('details').length > 20")
        assert await browser.evaluate("document.getElementById('name').textContent") == "faulty"
        assert await browser.evaluate(f"({TRY})('/v1/audit', {{ since: '7d' }})") == "200"
        before = sum(home.log.ends())
        sent = {"Idempotency-Key": "once"}
        assert await browser.evaluate(f"({TRY})('/v1/events', {json.dumps(sent)})") in ("200", "207", "422")
        assert sum(home.log.ends()) <= before + 1
        kept = "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])"
        assert key.text not in await browser.evaluate(kept)
        added = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)"
        assert await browser.evaluate(f"(() => {{ {added}; return window.ran; }})()") is None, "no other script runs"
    home.state.close()


async def test_the_documentation_needs_no_key_where_none_is_needed(tmp_path: Path) -> None:
    home = faulty.open_home(tmp_path / "home", SystemClock())
    async with serving(home) as url, browsing(CHROMIUM, tmp_path / "browser", f"{url}/docs") as browser:
        await browser.until("document.querySelectorAll('details').length > 20")
        assert await browser.evaluate("document.title") == "faulty · Flyball"
    home.state.close()
