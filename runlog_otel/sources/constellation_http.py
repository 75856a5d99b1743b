"""`constellation+http://HOST:PORT`: the history of a Constellation server, read only.

Source: the routes of Constellation's `io.constellation.http.DashboardRoutes`.
"""

import json
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from typing_extensions import override

from runlog_otel.core.model import Run, StoredRun
from runlog_otel.core.redaction import origin, url_without_credentials
from runlog_otel.core.runlogs.constellation import STATUSES, run_from_execution
from runlog_otel.errors import ConfigError, RunLogFormatError, RunNotFoundError, SourceError
from runlog_otel.http_deadline import client_of
from runlog_otel.http_direct import Answer, ExchangeError
from runlog_otel.settings import Settings
from runlog_otel.sources.port import Source

_PAGE = 100
"""The server's maximum."""
_OVERLAP = 10
"""So many executions may be deleted between two pages, and none is passed over."""
_ASKED_FOR = 10
"""At each poll, at most so many executions are checked for existence: servers limit requests."""
_OK, _NOT_FOUND, _TOO_MANY = 200, 404, 429
_TRIES = 5
_LONGEST_PAUSE_SECONDS = 10.0
_ANSWER_LIMIT = 256 * 1024 * 1024
_MS = 1_000_000
_UNKNOWN_MS = sys.maxsize // _MS
"""Later than any: what has it is in every list."""

Summary = Mapping[str, Any]


class History(Source):
    """The executions that a server knows."""

    def __init__(self, url: str, headers: Mapping[str, str], settings: Settings) -> None:
        self.settings = settings
        self._url = url
        ssl_context = ssl.create_default_context() if url.startswith("https:") else None
        self._client = client_of(url, headers, _ANSWER_LIMIT, ssl_context)
        self._read: tuple[int, int] = (0, 0)
        """Since when the list was last read, and the start of the oldest that ran then, or had changed since."""
        self._listed_ids: frozenset[str] = frozenset()
        """All ids of the last list, which includes the executions that ran when the list before was read."""

    @property
    @override
    def where(self) -> str:
        return f"constellation+{self._url}"

    @override
    def changes(self, since_ns: int) -> list[StoredRun]:
        """Nothing is returned before the list was read to its end: the server may die in between.

        The server lists by start, newest first. What changed since may have started long before, but not before the
        oldest execution that had changed or was running in the last list.
        """
        since_ms = max(0, since_ns) // _MS
        read_since_ms, oldest_ms = self._read
        listed = self._listed(min(since_ms, oldest_ms) if since_ms >= read_since_ms else 0)
        summaries = {summary["executionId"]: summary for summary in listed}
        changed = {
            run_id: run for run_id, summary in summaries.items() if (run := _stored(summary)).changed_ns >= since_ns
        }
        starts = (s["startTime"] for run_id, s in summaries.items() if run_id in changed or not _is_final(s))
        self._read = since_ms, min(starts, default=sys.maxsize)
        self._listed_ids = frozenset(summaries)
        return sorted(changed.values(), key=lambda run: (run.changed_ns, run.run_id))

    @override
    def run(self, run_id: str) -> Run:
        document = self._execution(run_id)
        if document is None:
            raise RunNotFoundError(run_id, self.where)
        return run_from_execution(document, self.settings.pipeline)

    @override
    def missing(self, run_ids: Sequence[str]) -> list[str]:
        """A running execution is in every list; the server is asked only for one that is not."""
        unlisted = [run_id for run_id in run_ids if run_id not in self._listed_ids]
        return [run_id for run_id in unlisted[:_ASKED_FOR] if self._execution(run_id) is None]

    @override
    def close(self) -> None:
        self._client.close()

    def _execution(self, run_id: str) -> Any:
        return self._get(f"/api/v1/executions/{quote(run_id, safe='')}")

    def _listed(self, until_ms: int) -> Iterator[Summary]:
        """The executions, newest first, to the first page that begins before a moment.

        New ones arrive at the front meanwhile, so some are returned twice.
        """
        offset = 0
        while True:
            page = self._get(f"/api/v1/executions?{urlencode({'limit': _PAGE, 'offset': offset})}")
            try:
                summaries: list[Summary] = [_checked(summary) for summary in page["executions"]]
                total = int(page["total"])
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
                raise SourceError(self.where, "what it answers is no list of executions") from error
            yield from summaries
            offset += len(summaries)
            oldest_ms = min((summary["startTime"] for summary in summaries), default=0)
            if not summaries or offset >= total or oldest_ms < until_ms:
                return
            offset -= min(_OVERLAP, len(summaries) - 1)

    def _get(self, path: str) -> Any:
        """The JSON at a path; None where there is nothing. Waits as long as a server that limits requests asks."""
        for left in reversed(range(_TRIES)):
            response = self._answer(path)
            if response.status != _TOO_MANY or not left:
                break
            time.sleep(_pause_seconds(response))
        if response.status == _NOT_FOUND:
            return None
        if response.status != _OK:
            raise SourceError(self.where, f"answers HTTP {response.status} to GET {path.partition('?')[0]}")
        try:
            return json.loads(response.body)
        except (ValueError, RecursionError) as error:
            raise RunLogFormatError(f"the answer of {self.where} to GET {path}", str(error)) from error

    def _answer(self, path: str) -> Answer:
        try:
            return self._client.request("GET", self._url + path, self.settings.timeout_seconds)
        except ExchangeError as error:
            problem = error.reason if error.where == self._client.where else error
            raise SourceError(self.where, f"cannot be reached: {problem}") from error


def history_at(url: str, settings: Settings) -> History:
    """The history of a server; `https://:KEY@…` gives an API key, `https://USER:PASSWORD@…` a login.

    Raises:
        ConfigError: it is no URL of a server.
    """
    try:
        parts = urlsplit(url)
        is_server = bool(parts.hostname) and (parts.port or True)
    except ValueError:
        is_server = False
    if not is_server or parts.query:
        raise ConfigError("--source", "write constellation+http://HOST:PORT, and what is filled in percent-encoded")
    user, secret = unquote(parts.username or ""), unquote(parts.password or "")
    if user and not secret:
        raise ConfigError("--source", "an API key stands after a colon, https://:KEY@HOST; a login is USER:PASSWORD")
    if not (user or (secret.isascii() and secret.isprintable())):
        raise ConfigError("--source", "an API key has letters, digits and signs of ASCII only")
    login = b64encode(f"{user}:{secret}".encode()).decode()
    authorization = f"Basic {login}" if user else f"Bearer {secret}"
    headers = {"accept": "application/json", "user-agent": "runlog-otel"}
    headers |= {"authorization": authorization} if secret else {}
    return History(url_without_credentials(origin(url) + parts.path).rstrip("/"), headers, settings)


def _pause_seconds(response: Answer) -> float:
    """What `Retry-After` says, in seconds; Constellation's limiter says one at least."""
    said = response.headers.get("retry-after", "")
    return min(float(said), _LONGEST_PAUSE_SECONDS) if said.isdigit() else 1.0


def _checked(summary: Any) -> Summary:
    """What is read of a summary, whose times may be damaged: reading that execution says what is wrong with it.

    Raises:
        AttributeError, KeyError: it has no id.
    """
    run_id, status, end_ms = str(summary["executionId"]), str(summary.get("status")), summary.get("endTime")
    try:
        start_ms, end_ms = int(summary["startTime"]), None if end_ms is None else int(end_ms)
        is_damaged = not 0 < start_ms <= _UNKNOWN_MS
    except (KeyError, TypeError, ValueError, OverflowError):
        is_damaged = True
    if is_damaged:
        start_ms, end_ms = _UNKNOWN_MS, None
    return {"executionId": run_id, "status": status, "startTime": start_ms, "endTime": end_ms}


def _is_final(summary: Summary) -> bool:
    status = STATUSES.get(summary["status"])
    return status is None or status.is_final


def _stored(summary: Summary) -> StoredRun:
    changed_ms = summary["startTime"] if summary["endTime"] is None else summary["endTime"]
    return StoredRun(summary["executionId"], changed_ms * _MS, _is_final(summary))
