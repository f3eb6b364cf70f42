"""The house: imports only go down, from the flow to what it stands on."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
VALUES = {"errors", "models"}
LEAVES = {"settings"} | VALUES
ALLOWED = {
    "errors.py": set(),
    "models.py": set(),
    "settings.py": {"errors"},
    "sandbox": set(),
    "connectors": LEAVES,
    "config": {"connectors"} | LEAVES,
    "session.py": {"config", "connectors"} | LEAVES,
    "transforms": {"config"} | VALUES,
    "warehouse": {"config", "connectors", "session", "transforms"} | LEAVES,
    "writeback": {"config", "connectors", "session", "transforms", "warehouse"} | LEAVES,
    "analysis": {"config", "connectors", "session", "transforms", "warehouse", "writeback"}
    | LEAVES,
    "cassettes": {"analysis", "config", "connectors"} | LEAVES,
    "benchmarks": {"config", "connectors", "sandbox", "transforms", "warehouse"} | LEAVES,
}
"""What of ours each package may import, besides itself."""

FLOW = {"sync.py", "cli", "playback.py"}
"""The flow and the commands that call it; nothing of the above may import them."""

OURS = {path.stem for path in HERE.glob("*.py")}
OURS |= {path.parent.name for path in HERE.glob("*/*.py")}


def imported(path: Path) -> Iterator[str]:
    """The first part of every module a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


def of_ours(room: str) -> set[str]:
    """What of ours the files of a room import."""
    place = HERE / room
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files
    found = {name for path in files for name in imported(path)}
    return (found & OURS) - {place.stem}


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_only_go_down(room):
    """Transforms never know a CRM, connectors never a decision, and nothing knows the flow."""
    assert of_ours(room) <= ALLOWED[room]


def test_every_room_says_what_it_stands_on():
    """A new one is held to it as well."""
    assert {Path(room).stem for room in ALLOWED.keys() | FLOW} == OURS - {"tests"}


def test_the_command_line_starts_without_pandas():
    """It costs more than all of ours; a value made by Arrow while modules load brings it in."""
    told = "import cli.main, sync, sys; print('pandas' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", told], cwd=HERE, capture_output=True, check=True)

    assert done.stdout == b"False\n"
