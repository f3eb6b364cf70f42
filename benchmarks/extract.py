"""How fast both CRMs are read: onefunnel against a plain program that lands the same rows.

    python benchmarks/extract.py                        100,000 contacts, 300,000 engagements
    python benchmarks/extract.py --contacts 10000       smaller, three times as many engagements
    python benchmarks/extract.py --limits --milliseconds 150    how much of the allowed speed is
                                                        used, and how often it was too much; else
                                                        no call waits for the rate limit

The plain program keeps one connection alive, asks page after page (HubSpot's list with inline
associations, a Bulk 2.0 job for Salesforce), reads JSON with orjson and CSV with Arrow, and inserts
typed Arrow tables into DuckDB. It does not retry, cannot be resumed and proves nothing. Both read
from the sandbox in another process, each in a process of its own, in turn; time and CPU run from
the first call to the last row, after everything is imported; memory is the process's largest
resident set. The rows landed are compared.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.crms import KINDS, WANTED, serve

ROUNDS = 2
CRMS = {"hubspot": 1.6, "salesforce": 1.8}
"""The most each may take, in times of the plain program's."""

Run = dict[str, Any]


def by_onefunnel(
    crm: str, server: dict[str, str], folder: Path, *, limits: bool
) -> Callable[[], Run]:
    """Pull as a run does, the proof included."""
    os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = f"duckdb:///{folder / 'warehouse.duckdb'}"
    from connectors import connector
    from connectors.extract.pipeline import extract_and_verify
    from connectors.retry import no_sleep
    from warehouse.dlt_runner import run_dlt

    edge = connector(crm)
    ways = {
        "hubspot": {"access_token": server["hubspot_token"], "base_url": server["url"]},
        "salesforce": {
            "instance_url": server["url"],
            "client_id": server["client_id"],
            "client_secret": server["client_secret"],
        },
    }

    def run() -> Run:
        client = edge.connect(edge.settings(**ways[crm]))
        wanted = WANTED[crm]
        catalog = edge.catalog(client, wanted)
        with nullcontext() if limits else no_sleep():
            found = run_dlt(
                crm,
                lambda it: extract_and_verify(
                    it, edge, client, wanted, catalog, last_full_check={}, known_absent={}
                ),
            )
        assert all(
            one.is_complete and not one.missing + one.absent + one.reassociated
            for one in found.row_checks
        )
        calls = sum(client.api_calls.values())
        return {"calls": calls, "waited": client.wait_seconds, "refused": client.throttled}

    return run


def by_plain_program(
    crm: str, server: dict[str, str], folder: Path, *, limits: bool
) -> Callable[[], Run]:
    """Read and land as plainly as it goes."""
    import duckdb
    import urllib3

    del limits  # it never waits for a turn
    database = duckdb.connect(str(folder / "warehouse.duckdb"))
    database.execute(f"CREATE SCHEMA {crm}")
    pool = urllib3.PoolManager(maxsize=1)
    read = {"hubspot": _plain_hubspot, "salesforce": _plain_salesforce}[crm]

    def run() -> Run:
        made: set[str] = set()
        for object, table in read(pool, server):
            database.register("page", table)
            verb = f"INSERT INTO {crm}.{{0}}" if object in made else f"CREATE TABLE {crm}.{{0}} AS"
            database.execute(f"{verb.format(object)} SELECT * FROM page")
            made.add(object)
        database.close()
        return {}

    return run


def _plain_hubspot(pool: Any, server: dict[str, str]) -> Iterator[tuple[str, Any]]:
    import orjson

    headers = {"Authorization": f"Bearer {server['hubspot_token']}"}
    for object, names in WANTED["hubspot"].items():
        asked = f"?limit=100&properties={','.join(names)}&associations=contacts"
        after, rows = "", []
        while after is not None:
            url = f"{server['url']}/crm/v3/objects/{object}{asked}{after and f'&after={after}'}"
            page = orjson.loads(pool.request("GET", url, headers=headers).data)
            rows += page["results"]
            after = page.get("paging", {}).get("next", {}).get("after")
            if len(rows) >= 10_000 or after is None:
                yield object, _plain_table(object, names, rows)
                rows = []


def _plain_table(object: str, names: tuple[str, ...], rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    kinds = dict(zip(names, KINDS, strict=True)) if object == "contacts" else {}
    columns = {"id": pa.array([row["id"] for row in rows])}
    for name in ("createdAt", "updatedAt"):
        columns[name] = pa.array([row[name] for row in rows]).cast(pa.timestamp("us", "UTC"))
    columns["archived"] = pa.array([row["archived"] for row in rows])
    properties = [row["properties"] for row in rows]
    for name in names:
        kind = "datetime" if name == "hs_timestamp" else kinds.get(name, "text")
        column = pa.array([values[name] for values in properties], pa.string())
        columns[name] = column.cast(_arrow(kind))
    if object != "contacts":
        links = [row.get("associations", {}).get("contacts", {}).get("results", ()) for row in rows]
        columns["associated_contacts"] = pa.array(
            [";".join(one["id"] for one in some) or None for some in links], pa.string()
        )
    return pa.table(columns)


def _plain_salesforce(pool: Any, server: dict[str, str]) -> Iterator[tuple[str, Any]]:
    import orjson
    import pyarrow as pa
    from pyarrow import csv

    login = {
        "grant_type": "client_credentials",
        "client_id": server["client_id"],
        "client_secret": server["client_secret"],
    }
    answer = pool.request(
        "POST", f"{server['url']}/services/oauth2/token", fields=login, encode_multipart=False
    )
    headers = {"Authorization": f"Bearer {orjson.loads(answer.data)['access_token']}"}
    jobs = f"{server['url']}/services/data/v60.0/jobs/query"
    system = ("Id", "CreatedDate", "SystemModstamp", "IsDeleted")
    stamps = {"CreatedDate": "datetime", "SystemModstamp": "datetime", "IsDeleted": "boolean"}
    for object, names in WANTED["salesforce"].items():
        kinds = dict(zip(names, KINDS, strict=True)) if object == "Lead" else _PLAIN_KINDS
        types = {name: _arrow((stamps | kinds).get(name, "text")) for name in (*system, *names)}
        body = {"operation": "queryAll", "query": f"SELECT {', '.join(types)} FROM {object}"}
        answer = pool.request("POST", jobs, body=orjson.dumps(body), headers=headers)
        job = f"{jobs}/{orjson.loads(answer.data)['id']}"
        while (
            orjson.loads(pool.request("GET", job, headers=headers).data)["state"] != "JobComplete"
        ):
            time.sleep(1)
        locator = ""
        while locator != "null":
            url = f"{job}/results?maxRecords=50000{locator and f'&locator={locator}'}"
            answer = pool.request("GET", url, headers=headers)
            locator = answer.headers["Sforce-Locator"]
            options = csv.ConvertOptions(column_types=types, strings_can_be_null=True)
            yield object, csv.read_csv(pa.BufferReader(answer.data), convert_options=options)


_PLAIN_KINDS = {
    "CompletedDateTime": "datetime",
    "ActivityDate": "date",
    "FirstRespondedDate": "date",
    "HasResponded": "boolean",
}


def _arrow(kind: str) -> Any:
    import pyarrow as pa

    return {
        "text": pa.string(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us", "UTC"),
    }[kind]


PROGRAMS = {"plain program": by_plain_program, "onefunnel": by_onefunnel}


LIMITED = 11
"""Seconds after which calls no longer count against the limit."""

IMPORTED_LATE = ("ibis.backends.duckdb", "pandas")
"""What both programs' libraries import only when they are first used."""


def read_once(crm: str, program: str, server: str, folder: str, *, limits: bool) -> None:
    """Run one program and say on stdout what it took."""
    if limits:
        time.sleep(LIMITED)  # the calls of the program before count as well
    run = PROGRAMS[program](crm, json.loads(server), Path(folder), limits=limits)
    for module in IMPORTED_LATE:
        import_module(module)
    before, cpu = time.perf_counter(), time.process_time()
    result = run()
    result |= {"seconds": time.perf_counter() - before, "cpu": time.process_time() - cpu}
    result["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


def measured(crm: str, program: str, server: str, *, limits: bool) -> Run:
    """Run one program in a process of its own, and count and sum up what it landed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--read", crm, program, server, folder]
        command += ["--limits"] if limits else []
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        result: Run = json.loads(done.stdout.splitlines()[-1])
        return result | {"landed": _landed(crm, folder)}


def _landed(crm: str, folder: str) -> list[Any]:
    """A sum over every value of every table, whatever the order of its rows."""
    import duckdb

    with duckdb.connect(f"{folder}/warehouse.duckdb", read_only=True) as database:
        key = {"hubspot": ("id", "updatedAt"), "salesforce": ("Id", "SystemModstamp")}[crm]
        return [
            database.execute(
                f"SELECT count(*), sum(hash({', '.join(map(_quoted, (*key, *names)))}))"
                f'FROM {crm}."{object}"'
            ).fetchall()
            for object, names in WANTED[crm].items()
        ]


def _quoted(name: str) -> str:
    return f'"{name}"'


@contextmanager
def served(crm: str, options: argparse.Namespace) -> Iterator[str]:
    """Serve a CRM from another process."""
    sizes = [str(options.contacts), str(options.engagements or 3 * options.contacts)]
    extras = [str(options.milliseconds), *(["--limits"] if options.limits else [])]
    command = [sys.executable, __file__, "--serve", crm, *sizes, *extras]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as server:
        assert server.stdin
        assert server.stdout
        try:
            yield server.stdout.readline()
        finally:
            server.stdin.close()


def compare(crm: str, options: argparse.Namespace) -> float:
    """Measure both programs in turn, print the best round of each, and give the ratio of times."""
    with served(crm, options) as server:
        runs = [
            {program: measured(crm, program, server, limits=options.limits) for program in PROGRAMS}
            for _ in range(options.rounds)
        ]
    assert all(
        run["landed"] == runs[0]["onefunnel"]["landed"] for one in runs for run in one.values()
    )
    records = options.contacts + (options.engagements or 3 * options.contacts)
    best = {
        program: {
            name: min(one[program][name] for one in runs)
            for name in ("seconds", "cpu", "megabytes")
        }
        for program in PROGRAMS
    }
    for program, run in best.items():
        print(
            f"{crm:<11} {program:<14} {run['seconds']:7.1f} s  {records / run['seconds']:9,.0f}"
            f" records/s  CPU {run['cpu'] / records * 1e5:5.2f} s per 100,000"
            f"  {run['megabytes']:5,.0f} MB"
        )
    result = runs[-1]["onefunnel"]
    ratio = float(best["onefunnel"]["seconds"] / best["plain program"]["seconds"])
    limits = f", {result['waited']:.1f} s waited, {result['refused']} times 429"
    paced = limits if options.limits else ""
    print(f"{crm:<11} {result['calls']:,} calls{paced}, {ratio:.2f} times (at most {CRMS[crm]})\n")
    return ratio


def main() -> None:
    """Measure, and end with the worse ratio of the two CRMs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--engagements", type=int, help="default: three times as many")
    parser.add_argument("--crm", choices=CRMS, action="append")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--limits", action="store_true", help="refuse calls as HubSpot does")
    parser.add_argument("--milliseconds", type=int, default=0, help="let each answer take so long")
    parser.add_argument("--read", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_once(*options.read, limits=options.limits)
    elif options.serve:
        crm, contacts, engagements, milliseconds = options.serve
        serve(
            crm,
            int(contacts),
            int(engagements),
            limits=options.limits,
            milliseconds=int(milliseconds),
        )
    else:
        ratios = [compare(crm, options) for crm in options.crm or CRMS]
        print(f"ratio: {max(ratios):.2f}")


if __name__ == "__main__":
    main()
