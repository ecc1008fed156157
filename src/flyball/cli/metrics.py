"""`flyball metrics ...`: what Prometheus and Grafana need to watch an application."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.common import AppName, Json, Set, load, pairs
from flyball.cli.sections import group
from flyball.cli.show import say, show_json
from flyball.core import Refused, write_atomic

commands = group("Rules for Prometheus and a dashboard for Grafana: rules, scrape, dashboard.")

ScrapeJob = Annotated[str, typer.Option("--job", help="The job of the scrape configuration.", show_default="the name")]
Out = Annotated[Path | None, typer.Option("--out", help="Write it to this file.", show_default="standard output")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file.")]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="metrics")


@commands.command()
def rules(
    app: AppName, job: ScrapeJob = "", out: Out = None, force: Force = False, chosen: Set = None, json: Json = False
) -> None:
    """Write recording and alert rules: errors, late answers, fallbacks, lag, freshness, incidents."""
    from flyball.serving import prometheus_rules, to_yaml

    document = prometheus_rules(load(app, pairs(chosen or [])), job)
    if json:
        show_json(document)
    else:
        _write(to_yaml(document), out, force)


@commands.command()
def scrape(
    app: AppName,
    target: Annotated[str, typer.Argument(metavar="HOST:PORT", help="An address of the running application.")],
    job: ScrapeJob = "",
    out: Out = None,
    force: Force = False,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Write the part of prometheus.yml that scrapes it. One address is enough: each process answers for all."""
    from flyball.serving import scrape_configuration, to_yaml

    document = scrape_configuration(job or load(app, pairs(chosen or [])).name, target)
    if json:
        show_json(document)
    else:
        _write(to_yaml(document), out, force)


@commands.command()
def dashboard(
    app: AppName, job: ScrapeJob = "", out: Out = None, force: Force = False, chosen: Set = None, json: Json = False
) -> None:
    """Write a Grafana dashboard as JSON, to be imported or provisioned; it shows what the rules record."""
    import msgspec

    from flyball.serving import grafana_dashboard

    made = grafana_dashboard(load(app, pairs(chosen or [])), job)
    if json:
        show_json(made)
    else:
        _write(msgspec.json.format(msgspec.json.encode(made), indent=2).decode() + "\n", out, force)


def _write(text: str, out: Path | None, force: bool) -> None:
    if out is None:
        say(text.rstrip("\n"))
        return
    if out.exists() and not force:
        raise Refused(f"{out} must not be there yet, got a file of that name: name another --out, or add --force")
    write_atomic(out, text.encode())
    say(f"written to {out}")
