"""The texts of a deployment: templates with the facts filled in, and the rules and the dashboard of the application."""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import msgspec

from flyball.app import App
from flyball.operations.deployment.facts import DeploymentFacts
from flyball.operations.deployment.requirements import pinned_requirements
from flyball.serving import grafana_dashboard, prometheus_rules, to_yaml
from flyball.settings import Settings

_NAME = re.compile(r"@@(\w+)@@")
_SUFFIX = ".tmpl"
SECRET_STORES = ("events", "predictions", "registry", "catalog", "quarantine", "outcomes", "state", "features")
"""The stores on servers that ask for a password; their URLs are mounted as files."""

PASSWORDS = ("postgres_password", "state_password", "objects_key", "objects_secret", "grafana_password")
"""What is made at random for the servers of compose."""

ROLES: dict[str, dict[str, str]] = {
    "serving": {
        "role_words": "The processes that answer; any number of replicas, which hold no state of their own.",
        "replicas": "",  # the autoscaler's
        "strategy": "{ type: RollingUpdate, rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }",
        "grace": "20",
        "role_env": '            - { name: FLYBALL_WORKERS, value: "2" }\n'
        "            - { name: FLYBALL_DRAIN, value: 5s }\n",
        "cpu_request": "500m",
        "memory_request": "1Gi",
        "memory_limit": "2Gi",
        "home_size": "6Gi",
    },
    "worker": {
        "role_words": "The log worker, which follows the log and keeps online state, features, history and outcomes.",
        "replicas": "  replicas: 2\n",  # they share the partitions of the log
        "strategy": "{ type: RollingUpdate, rollingUpdate: { maxUnavailable: 1, maxSurge: 1 } }",
        "grace": "15",
        "role_env": "",
        "cpu_request": "500m",
        "memory_request": "1Gi",
        "memory_limit": "2Gi",
        "home_size": "20Gi",
    },
    "governor": {
        "role_words": "The governor, which learns on schedule, releases, and opens incidents.",
        "replicas": "  replicas: 2\n",  # one holds the leases, the other one takes over within seconds
        "strategy": "{ type: RollingUpdate, rollingUpdate: { maxUnavailable: 1, maxSurge: 1 } }",
        "grace": "15",
        "role_env": "",
        "cpu_request": "1",
        "memory_request": "2Gi",
        "memory_limit": "6Gi",
        "home_size": "20Gi",
    },
}
"""What the deployments of Kubernetes differ in."""

_USUAL_PORTS = {"https": 443, "http": 80, "smtps": 465, "smtp": 587}
"""{how a scheme ends: the port of a URL that names none}."""
_STORE_PORTS = (443, 5432, 6379, 8333, 9092, 9093, 9094)
"""The ports that `network.yaml` names for stores."""

_PLACES = {
    "Containerfile": "Containerfile",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "containerignore": "Containerfile.dockerignore",
    "wheels.md": "wheels/README.md",
    "systemd.service": "systemd/flyball-@@kube_name@@.service",
}


def deployment_files(app: App, facts: DeploymentFacts, settings: Settings) -> dict[str, str]:
    """{path in the folder of the deployment: text}, without secrets. `settings`: of the home, whose sinks and traces
    the network must let through."""
    values = {**_values(facts), "sink_ports": "".join(_port_line(port, names) for port, names in _sent_to(settings))}
    texts: dict[str, str] = {}
    for path, template in _all_templates():
        if _is_secret(path):
            continue
        if path == "kubernetes/deployment.yaml":
            for role, own in ROLES.items():
                filled = _filled(template, {**values, **own, "role": role})
                texts[f"kubernetes/base/{role}.yaml"] = filled
        else:
            texts[_filled(_PLACES.get(path, path), values)] = _filled(template, values)
    texts["requirements.txt"] = "\n".join(pinned_requirements(facts.root / file for file in facts.files)) + "\n"
    texts["compose/rules.yml"] = to_yaml(prometheus_rules(app, app.name))
    dashboard = msgspec.json.encode(grafana_dashboard(app, app.name))
    texts["compose/grafana/dashboard.json"] = msgspec.json.format(dashboard, indent=2).decode() + "\n"
    return dict(sorted(texts.items()))


def _sent_to(settings: Settings) -> list[tuple[int, list[str]]]:
    """(port, the schemes that use it) of the sinks and of the collector of traces, without those that stores use."""
    schemes: dict[int, dict[str, None]] = {}
    for url in (*settings.sinks, *([settings.traces] if settings.traces else [])):
        parts = urlsplit(url)
        port = parts.port or next((port for end, port in _USUAL_PORTS.items() if parts.scheme.endswith(end)), None)
        if parts.netloc and port not in (None, *_STORE_PORTS):
            schemes.setdefault(port, {})[parts.scheme] = None
    return [(port, list(names)) for port, names in sorted(schemes.items())]


def _port_line(port: int, schemes: Sequence[str]) -> str:
    return f"        - {{ port: {port}, protocol: TCP }} # {', '.join(schemes)}\n"


def secret_files(facts: DeploymentFacts, passwords: Mapping[str, str]) -> dict[str, str]:
    """{path in the folder of the deployment: text} of the secrets. `passwords`: by the names of `PASSWORDS`."""
    values = {**_values(facts), **passwords, "schema": facts.kube_name.replace("-", "_")}
    return {path: _filled(template, values) for path, template in sorted(_all_templates()) if _is_secret(path)}


def _is_secret(path: str) -> bool:
    return "/secrets/" in path


def _all_templates() -> list[tuple[str, str]]:
    return _templates(files("flyball.operations.deployment") / "templates")


def _values(facts: DeploymentFacts) -> dict[str, str]:
    name, _, tag = facts.image.rpartition(":")
    if "/" in tag or not name:
        name, tag = facts.image, "latest"
    depth = len(PurePosixPath(facts.folder).parts) + 1
    return {
        "name": facts.name,
        "kube_name": facts.kube_name,
        "spec": facts.spec,
        "folder": facts.folder,
        "image": facts.image,
        "image_name": name,
        "image_tag": tag,
        "python": facts.python,
        "copies": "".join(f"COPY {file} {file}\n" for file in facts.files),
        "files_words": ", ".join(f"`{file}`" for file in facts.files) or "the application, which comes with Flyball",
        "root_words": "the folder of the application" if facts.files else "the folder above this one",
        "compose_context": "/".join([".."] * depth),
        "secret_env": "".join(
            f"            - {{ name: FLYBALL_{store.upper()}_FILE, value: /run/secrets/flyball/{store} }}\n"
            for store in SECRET_STORES
        ),
    }


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _NAME.sub(lambda match: values[match[1]], template)


def _templates(folder: Traversable, prefix: str = "") -> list[tuple[str, str]]:
    """(path, text) of all templates."""
    listed: list[tuple[str, str]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            listed += _templates(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            listed.append((prefix + entry.name.removesuffix(_SUFFIX), entry.read_text()))
    return listed
