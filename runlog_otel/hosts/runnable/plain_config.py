"""Reads a plain config of runnable without the host, whose import takes 290 ms of CPU; all else is left to the host.

It must not import the host. A test compares each name and default with the host's.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

CONFIG_VARIABLE = "RUNNABLE_CONFIGURATION_FILE"
CONFIG_FILE = "runnable-config.yaml"
VARIABLE_PREFIX = "RUNNABLE_VAR_"
STORE, KIND, FOLDER = "run_log_store", "file-system", ".run_log_store"
WHERE = "run-log-store.config"
_OWN_TYPE = "otel"


@dataclass(frozen=True, slots=True)
class PlainConfig:
    """A config whose store keeps each run in a file of a folder; `telemetry` are our settings in it."""

    folder: str
    telemetry: Mapping[str, Any]


def plain_config(chosen: str = "") -> PlainConfig | None:
    """The config file that is chosen, or that the host finds; None if it is not plain, is wrong, or not there."""
    try:
        service = _service(chosen)
        config = service.get("config") or {}
        telemetry: Any = {}
        if service["type"] == _OWN_TYPE:
            telemetry, service = config.get("telemetry") or {}, config["inner"]
            if not (config.keys() <= {"inner", "telemetry"} and service.keys() <= {"type", "config"}):
                return None
            config = service.get("config") or {}
        folder = config.get("log_folder", FOLDER)
    except Exception:  # noqa: BLE001 - the host, asked next, says what is wrong
        return None
    is_plain = service["type"] == KIND and config.keys() <= {"log_folder"} and isinstance(folder, str)
    return PlainConfig(folder, telemetry) if is_plain and isinstance(telemetry, Mapping) else None


def _service(chosen: str) -> Any:
    """The store's `{type, config}` as runnable's `ServiceConfigurations` finds it; raises anything."""
    path = chosen or os.environ.get(CONFIG_VARIABLE, "")
    if not path and not Path(CONFIG_FILE).is_file():
        return {"type": KIND}
    from ruamel.yaml import YAML  # comes with the host

    config = YAML(typ="safe", pure=True).load(Path(path or CONFIG_FILE).read_text(encoding="utf-8"))
    variables = {
        name.removeprefix(VARIABLE_PREFIX): value
        for name, value in os.environ.items()
        if name.startswith(VARIABLE_PREFIX)
    }
    text = Template(json.dumps(config)).safe_substitute(variables)
    if "$" in text:
        raise LookupError("the host warns of a variable without a value")
    services = {key.replace("-", "_"): service for key, service in json.loads(text).items()}
    return services.get(STORE, {"type": KIND})
