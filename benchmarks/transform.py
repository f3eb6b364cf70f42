"""How fast the definition is computed: the engine against SQL written by hand for the same answer.

    python benchmarks/transform.py                     1 million people, 10 million events
    python benchmarks/transform.py --events 1000000    smaller, a tenth as many people

Both make every column of `lifecycle` (reasons too) and `stage_history` from the same tables, in
DuckDB with two threads, each in a process of its own, in turn. Time runs from the open connection
to the last table made, for the engine with all that Ibis takes to compile; memory is the largest
resident set of the process. The answers are compared row by row.
"""

import argparse
import json
import math
import resource
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import world
from config.definition import Definition
from transforms.lifecycle.lifecycle import lifecycle

HERE = Path(__file__).resolve().parent
PEOPLE_PER_EVENT = 0.1
ROUNDS = 3
ROOM, SMALL_ROOM = "8GB", "2GB"

Run = dict[str, float]


def definition() -> Definition:
    """The definition that ships with the product."""
    path = HERE.parent / "mappings" / "lifecycle.yaml"
    return Definition.model_validate(YAML(typ="safe", pure=True).load(path))


def by_engine(made: str, of: str, memory: str) -> None:
    """Compute the answer with the engine."""
    engine = ibis.duckdb.connect(made, threads=2, memory_limit=memory)
    engine.raw_sql("SET preserve_insertion_order = false")
    engine.raw_sql(f"ATTACH '{of}' AS world (READ_ONLY)")

    def store(name: str, table: ir.Table) -> ir.Table:
        return engine.create_table(name, table, overwrite=True)

    people, field_since, events = (
        engine.table(name, database=("world", "main"))
        for name in ("people", "field_since", "events")
    )
    as_of = datetime.fromisoformat(world.AS_OF)
    answer = lifecycle(people, field_since, events, definition(), as_of=as_of, materialize=store)
    store("lifecycle", answer.lifecycle)
    store("stage_history", answer.stage_history)
    engine.disconnect()


def by_hand(made: str, of: str, memory: str) -> None:
    """Compute the answer with `by_hand.sql`."""
    script = string.Template((HERE / "by_hand.sql").read_text())
    statements = script.substitute(as_of=world.AS_OF, definition_id=definition().id).split(";\n")
    with duckdb.connect(made, config={"threads": 2, "memory_limit": memory}) as con:
        con.execute("SET preserve_insertion_order = false")
        con.execute(f"ATTACH '{of}' AS world (READ_ONLY)")
        for statement in filter(str.strip, statements):
            con.execute(statement)


def build(made: str, events: str, _: str) -> None:
    """Make the world that both start from."""
    world.build(made, people=int(int(events) * PEOPLE_PER_EVENT), events=int(events))


CONTENDERS = ("engine", "by hand")
TASKS: dict[str, Callable[[str, str, str], None]] = {
    "engine": by_engine,
    "by hand": by_hand,
    "build": build,
}


def measured(task: str, made: Path, of: Path | int, *, memory: str = ROOM) -> Run:
    """Run a task in a fresh process: seconds, cpu (seconds), peak (GB).

    Building is a task too: a process begins with the peak of the one that started it.
    """
    made.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--run", task, str(made), str(of), memory]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    run: Run = json.loads(done.stdout)
    return run


def run_and_report(task: str, made: str, of: str, memory: str) -> None:
    """Inside the fresh process: compute, and print what it took as JSON."""
    begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    TASKS[task](made, of, memory)
    now = resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    took = {"seconds": time.perf_counter() - begun, "cpu": cpu, "peak": now.ru_maxrss / 1e6}
    print(json.dumps(took))


def differences(one: Path, other: Path) -> int:
    """Count the rows of the answers that only one of two databases has."""
    count = 0
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{one}' AS one (READ_ONLY); ATTACH '{other}' AS other (READ_ONLY)")
        for table in ("lifecycle", "stage_history"):
            for mine, theirs in (("one", "other"), ("other", "one")):
                only = f"FROM {mine}.{table} EXCEPT ALL FROM {theirs}.{table}"
                [[found]] = con.execute(f"SELECT count(*) FROM ({only})").fetchall()
                count += found
    return count


def printed(console: Console, title: str, rows: dict[str, Run]) -> None:
    """Show some runs as a table."""
    table = Table("", "seconds", "CPU seconds", "peak GB", title=title, title_justify="left")
    for name, run in rows.items():
        table.add_row(name, *(f"{run[column]:.2f}" for column in ("seconds", "cpu", "peak")))
    console.print(table)


def best(runs: list[Run]) -> Run:
    """The quickest: whatever else the machine did only ever adds time."""
    return min(runs, key=lambda run: run["seconds"])


def main(events: int, folder: Path) -> int:
    """Build the worlds, run everything, print; 1 where the answers differ."""
    console = Console(width=100)
    sizes = [events // 100, events // 10, events]
    worlds = {size: folder / f"world_{size}.duckdb" for size in sizes}
    for size, path in worlds.items():
        measured("build", path, size)
    made = {name: folder / f"{name.replace(' ', '_')}.duckdb" for name in CONTENDERS}

    by_size = {size: measured("engine", made["engine"], worlds[size]) for size in sizes}
    printed(console, "by size", {f"{size:,} events": run for size, run in by_size.items()})
    small, middle, large = (by_size[size]["seconds"] for size in sizes)
    console.print(
        f"exponent: {math.log(large / small, events / sizes[0]):.2f}, "
        f"of the last step {math.log10(large / middle):.2f} (1 is linear)\n"
    )
    spilled = measured("engine", made["engine"], worlds[events], memory=SMALL_ROOM)
    printed(console, f"with memory_limit = {SMALL_ROOM}", {"engine": spilled})
    runs: dict[str, list[Run]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name in CONTENDERS:
            runs[name].append(measured(name, made[name], worlds[events]))
    fastest = {name: best(of) for name, of in runs.items()}
    printed(console, f"{events:,} events, best of {ROUNDS} runs in turn", fastest)
    wrong = differences(*made.values())
    console.print(f"rows that differ: {wrong}")
    console.print(f"ratio: {fastest['engine']['seconds'] / fastest['by hand']['seconds']:.2f}")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run_and_report(*given.run)
    else:
        with tempfile.TemporaryDirectory(prefix="onefunnel-") as place:
            sys.exit(main(given.events, Path(place)))
