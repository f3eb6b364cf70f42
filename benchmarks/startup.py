"""How much CPU time a command takes beyond its queries: `make bench-startup`.

Each command runs in a new process, several times in turn with `python -c pass` as the baseline. The
warehouse is small (the demo's), so that queries cost little. Prints the median user plus system
CPU seconds of each command and, last, each command's ratio to the import of typer alone.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
BASELINE = [sys.executable, "-c", "import typer"]
COMMANDS = {
    "--help": ["--help"],
    "plan --help": ["plan", "--help"],
    "wrong option": ["plan", "--no-such-option"],
    "status": ["status"],
    "explain": ["explain", "PERSON"],
}


def cpu_seconds(command: list[str], settings: dict[str, str]) -> float:
    """Run a command in a new process and return its user plus system CPU seconds."""
    before = os.times()
    subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )


def some_person(warehouse: Path) -> str:
    """Return the id of a person in a warehouse."""
    import duckdb

    with duckdb.connect(str(warehouse), read_only=True) as connection:
        [row] = connection.execute("SELECT min(person_id) FROM onefunnel.lifecycle").fetchall()
    return str(row[0])


def main() -> None:
    """Measure all commands in turn and print one line per command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command (default: 5)")
    parser.add_argument("--warehouse", type=Path, default=Path(".demo/warehouse.duckdb"))
    arguments = parser.parse_args()
    if not arguments.warehouse.exists():
        sys.exit(f"{arguments.warehouse} does not exist: run `make demo` first")
    person = some_person(arguments.warehouse)
    settings = {"DESTINATION__DUCKDB__CREDENTIALS": f"duckdb:///{arguments.warehouse.resolve()}"}
    commands = {
        name: [sys.executable, "sync.py", *(person if word == "PERSON" else word for word in words)]
        for name, words in COMMANDS.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in ("typer", *commands)}
    for _ in range(arguments.rounds):
        seconds["typer"].append(cpu_seconds(BASELINE, {}))
        for name, command in commands.items():
            seconds[name].append(cpu_seconds(command, settings))
    medians = {name: median(values) for name, values in seconds.items()}
    for name, value in medians.items():
        print(f"{name:14} {value:6.2f} CPU s")
    for name in commands:
        print(f"ratio {name}: {medians[name] / medians['typer']:.2f}")


if __name__ == "__main__":
    main()
