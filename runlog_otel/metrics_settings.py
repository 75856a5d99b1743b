"""The settings of metrics; and settings that mask what looks like a secret."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer, field_validator

from runlog_otel.core.redaction import MASK, masked, redacted
from runlog_otel.core.semconv import is_free


class MaskedModel(BaseModel):
    """Masks what looks like a secret in every field that is dumped or shown; a field opts out by its own serializer."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @field_serializer("*")
    def _mask(self, value: Any) -> Any:
        return _shown(value)

    def __repr_args__(self) -> Any:
        """Show only what was set, secrets masked."""
        shown = self.model_dump(mode="json")
        return [(field, shown[field]) for field in sorted(self.model_fields_set)]


class MetricsSettings(MaskedModel):
    """The key `metrics` of the settings."""

    listen: str = Field(
        "",
        description="host:port where the process that runs the pipeline serves /metrics of the runs that it completed",
    )
    push: bool = Field(
        False, description="Send each execution's points once, as OTLP deltas, when it is complete (docs/metrics.md)"
    )
    by_tag: bool = Field(False, description="Also label by the run's tag: only if there are few tags")
    max_series: int = Field(2000, ge=1, description="Label sets of one metric; the rest share one overflow series")
    annotations: tuple[str, ...] = Field(
        (), description="Names of numbers that steps annotate (docs/annotations.md): each becomes a gauge by step"
    )

    @field_validator("annotations")
    @classmethod
    def _check_annotations(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for number, name in enumerate(names, 1):
            if not is_free(name):
                raise ValueError(f"name {number} is empty or reserved (docs/annotations.md)")
        return names


def _shown(value: Any) -> Any:
    """A setting for display: secrets are masked by type, name and format."""
    match value:
        case SecretStr():
            return MASK
        case BaseModel():
            return value.model_dump(mode="json")
        case Path():
            return redacted(str(value))
        case Mapping():
            return masked({redacted(name): _shown(part) for name, part in value.items()})
        case list() | tuple():
            return [_shown(part) for part in value]
    return masked(value)
