"""Who or what started a run: another run, a CI job, a schedule, a person. Only what is certain."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from runlog_otel.core import semconv
from runlog_otel.live.ci_systems import ci_system

_CRON = ("cron", "crond", "anacron", "fcron")
_MAX_ANCESTORS = 64
_ARGO_CRON = re.compile(r".+-(?P<at>\d{10})-\d+", re.ASCII)
"""A node of a workflow that a `CronWorkflow` created: its name ends with the scheduled second."""


def trigger_facts(environ: Mapping[str, str], *, is_within_run: bool, has_user: bool) -> dict[str, str]:
    """What started a run, by the names in `semconv`; empty if that is not known.

    Args:
        environ: the environment variables.
        is_within_run: whether a step of another run started it.
        has_user: whether to include the name of the person (setting `trigger_user`).
    """
    name = url = user = ""
    if is_within_run:
        kind = "run"
    elif system := ci_system(environ):
        kind, name = "schedule" if system.is_scheduled(environ) else "ci", system.name
        url, user = system.job_url(environ), environ.get(system.user, "")
    elif name := _scheduler(environ):
        kind = "schedule"
    else:
        kind, user = "user" if any(map(os.isatty, range(3))) else "", _account() if has_user else ""
    facts = {
        semconv.TRIGGER_TYPE: kind,
        semconv.TRIGGER_NAME: name,
        semconv.TRIGGER_URL: url,
        semconv.TRIGGER_USER: user if has_user and kind != "schedule" else "",
    }
    return {key: value for key, value in facts.items() if value}


def _scheduler(environ: Mapping[str, str]) -> str:
    """The scheduler that started this process; empty if none is known to have.

    Sources: systemd.exec(5), "Environment Variables Set or Propagated by the Service Manager"; Argo Workflows' pods.
    """
    if environ.get("TRIGGER_UNIT", "").endswith(".timer"):
        return "systemd"
    node = _ARGO_CRON.fullmatch(environ.get("ARGO_NODE_ID", ""))
    if node and int(node["at"]) % 60 == 0:
        return "Argo Workflows"
    return "cron" if any(name.lower() in _CRON for name in _ancestors()) else ""


def _ancestors() -> Iterator[str]:
    """The names of the processes above this one, where there is a `/proc`."""
    pid = os.getppid()
    for _ in range(_MAX_ANCESTORS):
        try:
            head, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
            pid = int(rest.split()[1])
        except (OSError, ValueError, IndexError):
            return
        yield head.partition("(")[2]


def _account() -> str:
    """The name of the account; empty if it has none."""
    import getpass

    with suppress(KeyError, OSError, ImportError):
        return getpass.getuser()
    return ""
