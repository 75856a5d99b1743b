"""What every answer of the pages has, and which requests get one: ASGI middleware. Imports no source of runs."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runlog_otel.exporters.metrics.access import is_login
from runlog_otel.web.rendering import CONTENT_SECURITY_POLICY

HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
"""Of every answer, errors and files included."""
METHODS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Access:
    """Which requests are answered.

    `credentials` are `user:password`, or nothing. `hosts` are names under which the pages are reached, beside addresses
    and `localhost`: a page of another site whose name leads here (DNS rebinding) sends a name of its own.
    """

    credentials: str = ""
    hosts: Collection[str] = ()

    def refusal(self, method: str, headers: Headers) -> Response | None:
        """The answer to a request that is refused; None for any other."""
        if method not in METHODS:
            return PlainTextResponse("the pages are read-only: GET and HEAD\n", 405, {"allow": ", ".join(METHODS)})
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return PlainTextResponse(
                "the pages are not reached by this name: use the address, localhost, or a name given with --host\n", 400
            )
        if self.credentials and not is_login(headers.get("authorization", ""), self.credentials):
            return PlainTextResponse("authentication required\n", 401, {"www-authenticate": "Basic"})
        return None

    def _is_own(self, host: str) -> bool:
        name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower() in {"localhost", *(own.lower() for own in self.hosts)}
        return True


class Guard:
    """Refuses requests as `access` says, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: Any = MutableHeaders(scope=message)
                headers.update(HEADERS)
            await send(message)

        refused = self._access.refusal(scope["method"], Headers(scope=scope))
        await (refused or self._app)(scope, receive, send_with_headers)
