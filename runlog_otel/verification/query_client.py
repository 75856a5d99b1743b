"""GET requests to the query API of a backend: its URL, headers, certificates, retries, and a limit of their rate."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from runlog_otel.addresses import authorization_of, without_login
from runlog_otel.core.redaction import bounded, redacted
from runlog_otel.errors import BackendError, ConfigError
from runlog_otel.exporters.otlp.certificates import ssl_context
from runlog_otel.exporters.otlp.transience import is_transient_status, seconds_from_retry_after
from runlog_otel.http_deadline import client_of
from runlog_otel.http_direct import Answer, ExchangeError
from runlog_otel.settings import Settings

OK, NOT_FOUND = 200, 404
_ANSWER_LIMIT = 256 * 1024 * 1024
"""A trace of 200,000 spans is smaller."""
_PAUSES_SECONDS = (1.0, 2.0)
_MAX_PAUSE_SECONDS = 10.0
_SHOWN_BYTES = 200


class QueryClient:
    """Asks one server, over one connection.

    Args:
        option: the name of the option that the URL comes from, for messages.
        url: the base URL of the query API; a login in it is sent as basic authentication.
        settings: certificates, timeout, and the headers that a server on the host of the endpoint gets, too.
        headers: more headers.
        requests_per_second: the limit; 0 is none.

    Raises:
        ConfigError: the URL is not of a server, or a file with a certificate cannot be used.
    """

    def __init__(
        self, option: str, url: str, settings: Settings, *, headers: Mapping[str, str], requests_per_second: float = 0.0
    ) -> None:
        self.option = option
        self._base = _checked(option, url)
        self._timeout_seconds = settings.timeout_seconds
        self._interval_seconds = 1 / requests_per_second if requests_per_second else 0.0
        self._next_at = 0.0
        own = {name.lower(): value for name, value in headers.items()}
        sent = {
            "user-agent": "runlog-otel",
            **_headers_of_endpoint(settings, self._base),
            **authorization_of(url),
            **own,
        }
        context = ssl_context(settings) if self._base.startswith("https:") else None
        self._client = client_of(self._base, sent, _ANSWER_LIMIT, context)

    @property
    def where(self) -> str:
        """The server, without the login."""
        return self._client.where

    def get(self, path: str) -> Answer:
        """What the server answers to a path below the base URL, with status 200 or 404; a busy one is asked again.

        Raises:
            BackendError: there is no answer, or one with another status.
        """
        for pause_seconds in (*_PAUSES_SECONDS, None):
            self._pace()
            try:
                answer = self._client.request("GET", self._base + path, self._timeout_seconds)
            except ExchangeError as error:
                problem = BackendError(error.where, error.reason)
                asked_for = 0.0
            else:
                if answer.status in (OK, NOT_FOUND):
                    return answer
                problem = BackendError(self.where, refusal(answer, path))
                asked_for = seconds_from_retry_after(answer.headers.get("retry-after", "0"))
                if not is_transient_status(answer.status):
                    break
            if pause_seconds is None or asked_for > _MAX_PAUSE_SECONDS:
                break
            time.sleep(max(pause_seconds, asked_for))
        raise problem

    def document(self, path: str) -> Any:
        """The JSON at a path; None where there is nothing, or something that is no JSON. Raises as `get`."""
        answer = self.get(path)
        try:
            return None if answer.status == NOT_FOUND else json.loads(answer.body)
        except (ValueError, RecursionError):
            return None

    def parsed(self, answer: Answer, parse: Callable[[bytes], Any]) -> Any:
        """The content of an answer; raises BackendError where `parse` raises ValueError."""
        try:
            return parse(answer.body)
        except (ValueError, RecursionError) as error:
            kind = answer.headers.get("content-type", "no type")
            raise BackendError(self.where, f"its answer ({kind}) cannot be read: {redacted(str(error))}") from error

    def no_backend(self, path: str, what: str) -> ConfigError:
        """The error for a URL that leads to another server, which does not answer to a path as `what` does."""
        return ConfigError(self.option, f"{self.where} does not answer GET {path} as the query API of {what}")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _pace(self) -> None:
        now = time.monotonic()
        if now < self._next_at:
            time.sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + self._interval_seconds


def refusal(answer: Answer, path: str) -> str:
    """What a server answered that was no success, in one line."""
    text = bounded(redacted(answer.body.decode("utf-8", "replace").strip()), _SHOWN_BYTES)
    shown = f" {text}" if text.isprintable() and not text.startswith("<") else ""
    return f"answers HTTP {answer.status} to GET {path.partition('?')[0]}{shown}"


def _checked(option: str, url: str) -> str:
    """The URL without its login and without a slash at its end."""
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number, unbalanced brackets
        is_server = False
    if not is_server or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(option, "must be the URL of a server, http://host:port or https://host:port")
    if parts.query or parts.fragment:
        raise ConfigError(option, "must be the base URL of the query API, without ? and #")
    return without_login(url).rstrip("/")


def _headers_of_endpoint(settings: Settings, base: str) -> dict[str, str]:
    """The headers of the settings, for a server on the host that they are for: they may be credentials."""
    try:
        endpoint, server = urlsplit(settings.endpoint), urlsplit(base)
        is_meant = endpoint.hostname == server.hostname and (endpoint.scheme, server.scheme) != ("https", "http")
    except ValueError:
        is_meant = False
    return {name.lower(): value.get_secret_value() for name, value in settings.headers.items()} if is_meant else {}
