"""Which role each route takes: the one table, which the front, the OpenAPI document and the tests read."""

import re
from typing import TYPE_CHECKING

from starlette.routing import compile_path

if TYPE_CHECKING:
    from flyball.serving.service import Service

OPEN = "open"
"""Instead of a role: nobody needs a key."""

ROLE_OF_ROUTE = {
    "GET /": OPEN,
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": "read",
    "GET /openapi.json": "read",
    "GET /docs": OPEN,
    "GET /v1/snippet.js": OPEN,
    "POST /v1/events": "write-events",
    "GET /v1/predictions/{id}": "read",
    "GET /v1/cases": "read",
    "GET /v1/cases/{case}": "read",
    "GET /v1/releases": "read",
    "POST /v1/releases": "operate",
    "GET /v1/releases/{release}": "read",
    "POST /v1/releases/{release}/advance": "operate",
    "POST /v1/releases/{release}/pause": "operate",
    "POST /v1/releases/{release}/resume": "operate",
    "POST /v1/releases/{release}/abort": "operate",
    "POST /v1/releases/{release}/promote": "operate",
    "POST /v1/releases/{release}/finish": "operate",
    "POST /v1/releases/{release}/rollback": "operate",
    "GET /v1/incidents": "read",
    "GET /v1/incidents/digest": "read",
    "GET /v1/incidents/{incident}": "read",
    "GET /v1/incidents/{incident}/bundle": "read",
    "POST /v1/incidents/{incident}/acknowledge": "operate",
    "POST /v1/incidents/{incident}/assign": "operate",
    "POST /v1/incidents/{incident}/mitigate": "operate",
    "POST /v1/incidents/{incident}/note": "operate",
    "POST /v1/incidents/{incident}/close": "operate",
    "POST /v1/incidents/{incident}/reopen": "operate",
    "GET /v1/silences": "read",
    "POST /v1/silences": "operate",
    "POST /v1/silences/{silence}/end": "operate",
    "GET /v1/sinks": "read",
    "GET /v1/audit": "read",
    "GET /v1/quarantine": "read",
    "POST /v1/quarantine/retry": "operate",
    "GET /v1/keys": "admin",
    "POST /v1/keys": "admin",
    "POST /v1/keys/{key}/limits": "admin",
    "POST /v1/keys/{key}/revoke": "admin",
}
"""{method and path: its role}; paths that answer requests and lookups, which the application declares, take `serve`."""

SERVE = "serve"


class RouteRoles:
    """The roles of a service's routes, by method and path."""

    def __init__(self, service: "Service") -> None:
        about = service.about
        declared = [f"GET /v1/{about.kind}", f"POST /v1/{about.kind}", *about.paths]
        declared += [f"GET /v1/{lookup.name}{lookup.path}" for lookup in service.lookups]
        self.table = ROLE_OF_ROUTE | dict.fromkeys(declared, SERVE)
        self._exact: dict[tuple[str, str], str] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        for route, role in self.table.items():
            method, _, path = route.partition(" ")
            if "{" in path:
                loose = path if route in ROLE_OF_ROUTE else path.replace("}", ":path}")
                self._patterns.setdefault(method, []).append((compile_path(loose)[0], role))
            else:
                self._exact[method, path] = role

    def of_route(self, path: str) -> dict[str, str]:
        """{method: role} of a route, by its path as it is routed."""
        template = path.replace(":path}", "}")
        rows = (route.partition(" ") for route in self.table)
        return {method: self.table[f"{method} {own}"] for method, _, own in rows if own == template}

    def find(self, method: str, path: str) -> str | None:
        """The role for a request; None for what is no route, which no role allows."""
        method = "GET" if method == "HEAD" else method
        role = self._exact.get((method, path))
        if role is not None:
            return role
        return next((role for pattern, role in self._patterns.get(method, ()) if pattern.match(path)), None)
