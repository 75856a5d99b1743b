"""`python -m tests.stack.grafana_schema`: make grafana-schema.json of the types that Grafana publishes for TypeScript.

Needs npm; the tests need only the file. The version is that of Grafana in docker-compose.yml.
"""

import json
import subprocess
import tempfile
from pathlib import Path

GRAFANA = "13.2.3"
GENERATOR = "2.9.0"
SCHEMA = Path(__file__).with_name("grafana-schema.json")
_PANELS = "composable/{}/panelcfg/x"
_TYPES = {"dashboard": ("dashboard/x", "Dashboard")} | {
    f"{panel} {name}": (_PANELS.format(panel), name)
    for panel, names in {
        "heatmap": ("Options", "FieldConfig"),
        "stat": ("Options",),
        "table": ("Options", "FieldConfig"),
        "timeseries": ("Options", "FieldConfig"),
    }.items()
    for name in names
}


def main() -> None:
    """Write the file: a JSON Schema for dashboards, and for options and fields of each panel type that we use."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packages = (f"@grafana/schema@{GRAFANA}", f"ts-json-schema-generator@{GENERATOR}")
        _run(folder, "npm", "install", "--silent", "--no-audit", "--no-fund", *packages)
        options = {"module": "nodenext", "moduleResolution": "nodenext", "strict": True, "skipLibCheck": True}
        (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}), encoding="utf-8")
        schemas = {title: _schema(folder, *where) for title, where in _TYPES.items()}
    SCHEMA.write_text(json.dumps({"grafana": GRAFANA, "schemas": schemas}, indent=1) + "\n", encoding="utf-8")


def _schema(folder: Path, path: str, type_: str) -> object:
    source = f"node_modules/@grafana/schema/dist/types/raw/{path}/types.gen.d.ts"
    command = ("npx", "ts-json-schema-generator", "--path", source, "--type", type_, "--tsconfig", "tsconfig.json")
    return json.loads(_run(folder, *command, "--no-type-check", "--no-top-ref"))


def _run(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, check=True, text=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main()
