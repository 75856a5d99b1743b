"""What the code of magnus's steps says of itself is in the log and on the spans of its attempts."""

from pathlib import Path

from tests.core.logs import facts_of
from tests.hosts.magnus.project import CHUNKED, MagnusProject


def test_functions_and_programs_of_shells_say_it(tmp_path: Path, magnus_python: Path) -> None:
    """Each of its own attempt; a replay sends the same."""
    live, replayed = tmp_path / "live.jsonl", tmp_path / "replayed.jsonl"
    project = MagnusProject(tmp_path, magnus_python, CHUNKED, {"endpoint": f"file://{live}"})
    project.execute("annotated", "r").succeeded()
    steps = project.log("r")["steps"]
    (load,), (shell,) = facts_of(steps["load"]), facts_of(steps["shell"])
    assert (load.annotations, shell.annotations) == ({"rows": 123}, {"files": 3})
    assert [(event.name, event.attributes) for event in load.events] == [("checkpoint", {"epoch": 3})]
    project.command("export", "r", "-c", "config.yaml", "--endpoint", f"file://{replayed}").succeeded()
    for path in (live, replayed):
        text = path.read_text(encoding="utf-8")
        assert all(f'"key":"{name}"' in text.replace(" ", "") for name in ("rows", "files", "epoch"))
