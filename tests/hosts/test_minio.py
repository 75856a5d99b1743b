"""runnable's stores on S3, wrapped: the runs are traced, listed, replayed and copied."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.minio import Minio

_PIPELINE = """\
from runnable import Pipeline, PythonTask

def work():
    pass

def main():
    pipeline = Pipeline(steps=[PythonTask(name="one", function=work), PythonTask(name="two", function=work)])
    pipeline.execute()
    return pipeline

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("run_id", ["plain", "feature/x"], ids=["plain", "slash"])
@pytest.mark.parametrize("kind", ["minio", "chunked-minio"])
def test_runs_on_s3_are_traced_listed_and_replayed(minio: Minio, tmp_path: Path, kind: str, run_id: str) -> None:
    """What goes out live and what `export --all` sends are the same spans, whatever the run id looks like."""
    name = f"runs-{kind}-{run_id.replace('/', '-')}"
    minio.make_bucket(name)
    config = {
        "run-log-store": {
            "type": "otel",
            "config": {
                "inner": {"type": kind, "config": {"endpoint_url": minio.url, "bucket": f"{name}/logs"}},
                "telemetry": {"endpoint": (tmp_path / "live.jsonl").as_uri()},
            },
        }
    }
    (tmp_path / "runnable-config.yaml").write_text(json.dumps(config))
    (tmp_path / "pipeline.py").write_text(_PIPELINE)
    target = {"type": "sql", "config": {"connection_string": f"sqlite:///{tmp_path / 'runs.db'}"}}
    (tmp_path / "target.yaml").write_text(json.dumps({"run-log-store": target}))
    for command in (
        ["pipeline.py"],
        ["-m", "runlog_otel", "export", "--all", "--endpoint", (tmp_path / "again.jsonl").as_uri()],
        ["-m", "runlog_otel", "db", "copy", "--from", "runnable-config.yaml", "--to", "target.yaml"],
    ):
        environ = {**os.environ, "RUNNABLE_RUN_ID": run_id}
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False, env=environ
        )
        assert done.returncode == 0, done.stderr + done.stdout
    config_file = str(tmp_path / "runnable-config.yaml")
    asked = f"from runlog_otel.cli.loading import source; s = source('', {config_file!r})"
    asked += f"; print([r.run_id for r in s.changes(0)], list(s.missing(['other', {run_id!r}, 'feature'])))"
    done = subprocess.run([sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == f"{[run_id]} ['other', 'feature']\n", done.stderr
    live, again = (_spans(tmp_path / name) for name in ("live.jsonl", "again.jsonl"))
    assert len(live) == 6
    assert live == again


def _spans(path: Path) -> dict[str, str]:
    """Span id → the whole span, of every line of a file."""
    requests = [json.loads(line) for line in path.read_text().splitlines()]
    spans = [
        s for request in requests for rs in request["resourceSpans"] for ss in rs["scopeSpans"] for s in ss["spans"]
    ]
    return {span["spanId"]: json.dumps(span, sort_keys=True) for span in spans}
