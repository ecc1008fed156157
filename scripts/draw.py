"""Draw docs/pictures/*.svg: floors from the imports themselves, the rest from the lists below.

`python scripts/draw.py` writes them; `--record` first runs the session of the terminal picture; `--check` says which
are not as they would be drawn now.
"""

import ast
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.test_architecture import FLOORS, files, imports_of  # noqa: E402  # the plan that the test holds

from flyball.releases import OVER, RUNNING, TRANSITIONS  # noqa: E402
from flyball.serving.batching import RELIEF_SHARE, TICK_S  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
INK, SOFT, LINE, PAPER = "#1f2933", "#52606d", "#9aa5b1", "#ffffff"
BLUE, GREEN, AMBER, RED, GRAY = "#dbeafe", "#dcfce7", "#fef3c7", "#fee2e2", "#f1f5f9"
FONT = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"


class Sheet:
    """One picture; sizes in pixels."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.parts: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, text: str, fill: str, note: str = "") -> None:
        """A rounded box with a line of text and a smaller one below."""
        self.parts.append(
            f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='6' fill='{fill}' stroke='{LINE}'/>"
        )
        middle = y + height / 2
        self.text(x + width / 2, middle + (-2 if note else 5), text, 14, INK, "middle", bold=True)
        if note:
            self.text(x + width / 2, middle + 15, note, 11, SOFT, "middle")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: int = 12,
        color: str = SOFT,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        style = f"font-size='{size}' fill='{color}' text-anchor='{anchor}'" + (" font-weight='600'" if bold else "")
        self.parts.append(f"<text x='{x}' y='{y}' {style}>{escape(text)}</text>")

    def arrow(self, points: list[tuple[float, float]], color: str = SOFT, dashed: bool = False) -> None:
        """A line through the points with a head at the last."""
        path = " ".join(f"{x},{y}" for x, y in points)
        dash = " stroke-dasharray='5 4'" if dashed else ""
        self.parts.append(
            f"<polyline points='{path}' fill='none' stroke='{color}' stroke-width='1.6'{dash} marker-end='url(#head)'/>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, color: str = LINE, width: float = 1.2) -> None:
        self.parts.append(f"<line x1='{x1}' y1='{y1}' x2='{x2}' y2='{y2}' stroke='{color}' stroke-width='{width}'/>")

    def band(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        self.parts.append(f"<rect x='{x}' y='{y}' width='{width}' height='{height}' fill='{fill}'/>")

    def svg(self) -> str:
        head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {self.width} {self.height}' width='{self.width}' "
            f"height='{self.height}' role='img' {FONT}>\n<title>{escape(self.title)}</title>\n"
            "<defs><marker id='head' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' "
            f"orient='auto-start-reverse'><path d='M0,0 L10,5 L0,10 z' fill='{SOFT}'/></marker></defs>\n"
            f"<rect width='{self.width}' height='{self.height}' rx='10' fill='{PAPER}'/>\n"
        )
        return head + "\n".join(self.parts) + "\n</svg>\n"


def floors() -> Sheet:
    """Every room on its floor, with the promise of its door and the rooms it imports from."""
    imports: dict[str, set[str]] = {}
    for room, path in files():
        targets = {module.split(".")[1] for _, module, _ in imports_of(path) if module.count(".")}
        imports.setdefault(room, set()).update(targets & set(FLOORS) - {room})
    rooms = sorted((room for room in FLOORS if room in imports), key=lambda room: (-FLOORS[room], room))
    levels = sorted({FLOORS[room] for room in rooms}, reverse=True)
    row, left, wide = 44, 44, 130
    sheet = Sheet(1060, 60 + row * len(rooms), "The rooms on their floors, and which rooms each imports from")
    sheet.text(left, 30, "room", 12, SOFT, bold=True)
    sheet.text(left + wide + 18, 30, "what its door promises", 12, SOFT, bold=True)
    sheet.text(640, 30, "imports from", 12, SOFT, bold=True)
    for number, room in enumerate(rooms):
        y = 44 + number * row
        if levels.index(FLOORS[room]) % 2 == 0:
            sheet.band(8, y - 4, 1044, row, GRAY)
        sheet.text(20, y + 20, str(FLOORS[room]), 12, SOFT, "middle")
        sheet.box(left, y, wide, row - 8, room, BLUE)
        sheet.text(left + wide + 18, y + 20, _promise(room), 12, INK)
        below = sorted(imports[room], key=lambda name: (-FLOORS[name], name))
        lines = textwrap.wrap(", ".join(below), 76)
        for part, line in enumerate(lines):
            sheet.text(640, y + (20 if len(lines) == 1 else 14) + 15 * part, line, 11, SOFT)
    return sheet


def _promise(room: str) -> str:
    """The first words of the room's docstring."""
    path = ROOT / "src" / "flyball" / room / "__init__.py"
    if not path.exists():
        path = path.parent.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0].replace("\n", " ")
    return textwrap.shorten(first, 62, placeholder=" …")


VIEWS = ("state/", "features/", "history/", "outcomes.db", "catalog.db")


def processes() -> Sheet:
    """The processes of `flyball up`, and who writes which file of the home."""
    sheet = Sheet(1000, 520, "The processes of flyball up, and which process writes which file")
    sheet.box(400, 20, 200, 50, "supervisor", AMBER, "binds the port, restarts what dies")
    columns = [
        (30, "serve-1 … serve-n", "answer requests, check events", BLUE),
        (360, "log worker", "runs the consumers of the log", BLUE),
        (690, "governor", "learns on schedule, in a child", BLUE),
    ]
    for x, name, note, fill in columns:
        sheet.box(x, 130, 280, 54, name, fill, note)
        sheet.arrow([(500, 70), (500, 100), (x + 140, 100), (x + 140, 128)])
    sheet.text(30, 104, "accepted connections", 11)
    written = [
        (
            30,
            [
                ("events.db", "the event log: the truth"),
                ("predictions.db", "every answer, stamped"),
                ("quarantine.db", "lines set aside, with the reason"),
                ("catalog.db", "which entities are known"),
            ],
        ),
        (
            360,
            [
                ("state/", "what serving reads about a user"),
                ("features/", "windowed features, by key"),
                ("history/", "the log as Parquet"),
                ("outcomes.db", "what followed each answer"),
            ],
        ),
        (
            690,
            [
                ("artifacts/", "what versions learned"),
                ("registry.db", "runs, versions, releases, audit"),
                ("history/snapshots/", "what a version learned from"),
            ],
        ),
    ]
    for x, names in written:
        sheet.arrow([(x + 140, 184), (x + 140, 226)])
        sheet.text(x + 150, 210, "writes", 11)
        for number, (name, note) in enumerate(names):
            sheet.box(x, 230 + number * 58, 280, 50, name, GRAY if name in VIEWS else GREEN, note)
    sheet.arrow([(310, 255), (358, 255)])
    sheet.text(314, 248, "reads", 10)
    sheet.arrow([(640, 371), (688, 371)], dashed=True)
    sheet.text(644, 364, "reads", 10)
    sheet.text(
        30, 492, "Serving processes read state/, features/, artifacts/ and registry.db; nothing else writes them.", 12
    )
    sheet.text(30, 510, "Gray: views, rebuilt from the log. Green: kept; nothing else holds what is in them.", 12)
    return sheet


def log_and_views() -> Sheet:
    """The log, and what is computed from it."""
    sheet = Sheet(1000, 380, "The log and its views")
    sheet.box(20, 60, 130, 50, "event", GRAY, "HTTP, file, stream")
    sheet.box(200, 60, 130, 50, "checks", AMBER, "type, range, time")
    sheet.box(400, 50, 190, 70, "event log", GREEN, "append-only, partitioned")
    sheet.box(200, 180, 130, 50, "quarantine", RED, "bytes and reason")
    sheet.arrow([(150, 85), (198, 85)])
    sheet.arrow([(330, 85), (398, 85)])
    sheet.arrow([(265, 110), (265, 178)])
    sheet.text(272, 150, "bad", 11)
    sheet.text(348, 78, "good", 11)
    views = [
        ("serving state", "histories, profiles, popularity"),
        ("online features", "windows by key, in tiles"),
        ("history", "Parquet, snapshots by content"),
        ("outcomes", "answers joined to what followed"),
    ]
    for number, (name, note) in enumerate(views):
        y = 20 + number * 84
        sheet.box(720, y, 250, 60, name, BLUE, note)
        end = y + 30 if number < 3 else y + 44
        sheet.arrow([(590, 85), (655, 85), (655, end), (718, end)])
    sheet.box(400, 250, 190, 60, "prediction log", GREEN, "one record per answer")
    sheet.arrow([(590, 290), (718, 290)])
    sheet.text(
        20, 350, "Every view is a function of a prefix of the log: it keeps the offsets it has applied, and can be", 12
    )
    sheet.text(
        20, 368, "deleted and rebuilt. A replay reads the log up to the offsets that an answer was made from.", 12
    )
    return sheet


def event_time() -> Sheet:
    """Event time and ingestion time, and the edges of a feature's window."""
    sheet = Sheet(1000, 400, "Event time against ingestion time, and the window [q - W, q) of a feature")
    sheet.text(
        20,
        30,
        "Three events, each with the time it happened (at) and the time it became known (known_at)",
        13,
        INK,
        bold=True,
    )
    for y, label in ((80, "event time: at"), (170, "ingestion time: known_at")):
        sheet.line(180, y, 960, y, LINE, 1.5)
        sheet.text(20, y + 4, label, 12, INK)
    for name, at, known, fill in (("A", 260, 300, GREEN), ("B", 420, 640, GREEN), ("C", 560, 860, RED)):
        for x, y in ((at, 80), (known, 170)):
            sheet.parts.append(f"<circle cx='{x}' cy='{y}' r='12' fill='{fill}' stroke='{LINE}'/>")
            sheet.text(x, y + 5, name, 12, INK, "middle", bold=True)
        sheet.arrow([(at, 94), (known, 156)])
    sheet.line(760, 56, 760, 196, RED.replace("fee2e2", "dc2626"), 1.6)
    sheet.text(766, 62, "request at q", 12, "#dc2626")
    sheet.text(
        180,
        214,
        "A and B were known before q, so training and serving see them. C happened before q, but nobody knew it yet.",
        12,
    )
    sheet.text(20, 258, "The window of a feature at q", 13, INK, bold=True)
    sheet.line(180, 320, 960, 320, LINE, 1.5)
    sheet.band(380, 306, 380, 28, BLUE)
    for x in range(300, 961, 80):
        sheet.line(x - 0.0, 312, x, 328, LINE)
    sheet.line(380, 296, 380, 344, INK, 1.6)
    sheet.line(760, 296, 760, 344, "#dc2626", 1.6)
    sheet.text(380, 290, "q - W", 12, INK, "middle")
    sheet.text(760, 290, "q", 12, "#dc2626", "middle")
    sheet.text(386, 360, "an event exactly at q - W is inside", 12)
    sheet.text(766, 360, "an event exactly at q is outside", 12)
    sheet.text(
        20,
        386,
        "tiled(h): the left edge is floor((q - W) / h) * h, so that tiles can be added up; exact: it is q - W.",
        12,
    )
    return sheet


LEVELS = [
    ("chosen", "the version a release chose for this user"),
    ("champion", "the version that serves"),
    ("previous", "the champion before it, still loaded"),
    ("precomputed", "the list of the user's group, in memory"),
    ("popular", "what is popular now, in memory"),
    ("empty", "the catalog's order, or nothing"),
]


def fallback_levels() -> Sheet:
    """The fallback levels of one request, against the default deadline of 300 ms."""
    sheet = Sheet(1000, 350, "The fallback levels of one request against its deadline")
    left, scale, deadline = 430, 1.75, 300
    waits = deadline - round(4 * TICK_S * 1_000)
    relieved = round((1 - RELIEF_SHARE) * waits)
    sheet.text(20, 30, "level", 12, SOFT, bold=True)
    sheet.text(left, 30, "time since the request came, in ms", 12, SOFT, bold=True)
    for number, (name, note) in enumerate(LEVELS):
        y = 46 + number * 40
        model = number < 3
        sheet.box(20, y, 120, 32, name, BLUE if model else AMBER)
        sheet.text(152, y + 20, note, 12, INK)
        start, end = (0, waits) if model else (waits, deadline)
        sheet.band(left + start * scale, y + 8, (end - start) * scale, 16, "#93c5fd" if model else "#fcd34d")
    for time in (0, 100, 200, deadline):
        x, last = left + time * scale, time == deadline
        sheet.line(x, 40, x, 290, "#dc2626" if last else LINE, 1.6 if last else 0.8)
        sheet.text(x, 304, f"deadline {time}" if last else str(time), 11, "#dc2626" if last else SOFT, "middle")
    sheet.text(
        20,
        324,
        f"Blue: the scoring thread tries the versions in this order; after {relieved} ms another thread asks the next.",
        12,
    )
    sheet.text(
        20,
        342,
        "Amber: the event loop answers by itself when both are late, or at once when no version can answer.",
        12,
    )
    return sheet


TERMINAL = PICTURES / "terminal.txt"
"""What `scripts/draw.py --record` saw: the commands of a first session and what they printed."""

SESSION = (
    "flyball new shop",
    "flyball ingest shop.py shop-events.jsonl",
    "flyball learn shop.py",
    "flyball recommend shop.py 7",
)


RELEASE_PATHS: dict[tuple[str, str], tuple[list[tuple[float, float]], tuple[float, float]]] = {
    ("draft", "running"): ([(130, 130), (240, 130)], (150, 122)),
    ("draft", "champion"): ([(75, 108), (75, 40), (790, 40), (790, 98)], (330, 34)),
    ("draft", "aborted"): ([(75, 156), (75, 370), (240, 370)], (85, 300)),
    ("running", "running"): ([(330, 60), (330, 52), (430, 52), (430, 60)], (438, 57)),
    ("running", "held"): ([(340, 214), (340, 262)], (240, 242)),
    ("held", "running"): ([(420, 262), (420, 214)], (428, 242)),
    ("held", "held"): ([(240, 296), (222, 296), (222, 280), (240, 280)], (170, 292)),
    ("running", "champion"): ([(520, 110), (720, 110)], (580, 104)),
    ("held", "champion"): ([(520, 280), (690, 280), (690, 130), (720, 130)], (610, 274)),
    ("running", "aborted"): ([(260, 214), (260, 236), (205, 236), (205, 350), (270, 350), (270, 358)], (212, 344)),
    ("held", "aborted"): ([(330, 306), (330, 358)], (338, 338)),
    ("running", "ended"): ([(520, 170), (600, 170), (600, 358)], (608, 190)),
    ("held", "ended"): ([(500, 306), (500, 380), (550, 380)], (450, 338)),
    ("champion", "champion"): ([(840, 98), (840, 86), (800, 86), (800, 98)], (848, 90)),
    ("champion", "retired"): ([(860, 122), (930, 122)], (868, 116)),
    ("retired", "champion"): ([(930, 142), (860, 142)], (866, 158)),
    ("champion", "rolled_back"): ([(790, 150), (790, 358)], (798, 250)),
}
"""{(state, state after): the line, and where its commands stand}; "running" is any of `RUNNING`."""


def releases() -> Sheet:
    """The state machine of a release, from the table that the code obeys."""
    sheet = Sheet(1060, 430, "The states of a release and the commands that lead from one to another")
    sheet.box(20, 108, 110, 48, "draft", GRAY)
    sheet.box(240, 60, 280, 154, "", BLUE)
    sheet.text(380, 84, "under way", 14, INK, "middle", bold=True)
    for number, state in enumerate(RUNNING):
        sheet.text(270 + 130 * (number % 2), 112 + 28 * (number // 2), state, 13, INK)
    sheet.box(240, 262, 280, 44, "held", AMBER, "keeps its split of units")
    sheet.box(720, 98, 140, 52, "champion", GREEN, "watched for 7 days")
    sheet.box(930, 108, 110, 48, "retired", GRAY)
    for x, state in ((240, "aborted"), (550, "ended"), (720, "rolled_back")):
        sheet.box(
            x, 358, 140 if state != "aborted" else 180, 44, state.replace("_", " "), RED if state != "ended" else GRAY
        )
    commands: dict[tuple[str, str], list[str]] = {}
    for (command, before), states in TRANSITIONS.items():
        for after in states:
            pair = tuple("running" if state in RUNNING else state for state in (before, after))
            names = commands.setdefault((pair[0], pair[1]), [])
            if command not in names:
                names.append(command)
    for pair, names in commands.items():
        points, (x, y) = RELEASE_PATHS[pair]
        sheet.arrow(points)
        sheet.text(x, y, ", ".join(names), 11)
    sheet.text(
        20,
        422,
        f"Over: {', '.join(state.replace('_', ' ') for state in OVER)}. Abort is one step from wherever users see it.",
        12,
    )
    return sheet


def terminal() -> Sheet:
    """The recorded session as a terminal window."""
    lines = TERMINAL.read_text().splitlines()
    size, step = 12.5, 18
    sheet = Sheet(
        round(max(map(len, lines)) * size * 0.602) + 40, 50 + step * len(lines), "A first session with Flyball"
    )
    sheet.parts.append(f"<rect width='{sheet.width}' height='{sheet.height}' rx='10' fill='#0f172a'/>")
    for number, color in enumerate(("#f87171", "#fbbf24", "#4ade80")):
        sheet.parts.append(f"<circle cx='{22 + 18 * number}' cy='18' r='5.5' fill='{color}'/>")
    for number, line in enumerate(lines):
        color = "#7dd3fc" if line.startswith("$ ") else "#e2e8f0"
        sheet.parts.append(
            f"<text x='20' y='{50 + step * number}' font-size='{size}' fill='{color}' xml:space='preserve' "
            f"font-family='ui-monospace, SFMono-Regular, Menlo, Consolas, monospace'>{escape(line)}</text>"
        )
    return sheet


def record() -> str:
    """Run the session in an empty folder; what a terminal of 100 columns shows."""
    shown = []
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    with tempfile.TemporaryDirectory() as folder:
        for command in SESSION:
            words = [sys.executable, "-m", *command.split()]
            done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
            shown += [f"$ {command}", *done.stdout.rstrip().splitlines(), ""]
    return "\n".join(shown).rstrip() + "\n"


DRAWN = {
    "floors": floors,
    "processes": processes,
    "log-and-views": log_and_views,
    "event-time": event_time,
    "fallback-levels": fallback_levels,
    "releases": releases,
    "terminal": terminal,
}


def drawn() -> Iterator[tuple[Path, str]]:
    for name, draw in DRAWN.items():
        yield PICTURES / f"{name}.svg", draw().svg()


def main() -> int:
    if "--check" in sys.argv:
        stale = [path.name for path, svg in drawn() if not path.exists() or path.read_text() != svg]
        print("\n".join(stale))
        return 1 if stale else 0
    PICTURES.mkdir(parents=True, exist_ok=True)
    if "--record" in sys.argv:
        TERMINAL.write_text(record())
    for path, svg in drawn():
        path.write_text(svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
