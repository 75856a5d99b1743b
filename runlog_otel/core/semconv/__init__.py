"""Every name of a span, attribute, event and metric, with its type and help text. No other module spells one.

Names are those of OpenTelemetry's semantic conventions where they exist (CI/CD, VCS, exception, error: release
candidate), else `runlog.*`. `docs/mapping.md` is generated from this package.
"""

from runlog_otel.core.semconv.attributes import *
from runlog_otel.core.semconv.facts import *
from runlog_otel.core.semconv.limits import *
from runlog_otel.core.semconv.metrics import *
from runlog_otel.core.semconv.specs import *

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
SCOPE_NAME = "runlog_otel"
SCOPE_VERSION = "2"
"""The version of the mapping, not of the package: an upgrade with the same mapping exports the same bytes."""

HEADER_KEY = "runlog_otel"
"""The one key that the wrapper adds to a run's config."""
