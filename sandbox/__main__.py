"""The command line: `python -m sandbox --people 500 --port 8700`."""

import argparse
import json
from collections.abc import Sequence
from errno import EADDRINUSE
from pathlib import Path

from sandbox.faults import Fault, parse_faults
from sandbox.scenarios import SCENARIOS
from sandbox.server import serve


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve both CRMs until Ctrl-C. A wrong option ends with exit code 2 and a message."""
    parser = argparse.ArgumentParser(
        prog="onefunnel-sandbox",
        description="Serve the APIs of HubSpot and Salesforce on 127.0.0.1 with generated data.",
    )
    parser.add_argument("--people", type=int, default=2000, help="number of people (2000)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed, the same data (7)")
    parser.add_argument("--port", type=int, default=8700, help="0 takes any free port (8700)")
    parser.add_argument(
        "--scenario", default="", choices=sorted(SCENARIOS), help="data that is hard to sync"
    )
    parser.add_argument("--faults", type=Path, help="a JSON file with the faults to plan")
    options = parser.parse_args(arguments)
    try:
        start(**vars(options))
    except ValueError as error:
        parser.error(str(error))


def start(*, people: int, seed: int, port: int, scenario: str, faults: Path | None) -> None:
    """Serve both CRMs until Ctrl-C.

    Raises: ValueError where the scenario is unknown, the file of faults is wrong, or the port is
            in use.
    """
    if scenario and scenario not in SCENARIOS:
        raise ValueError(f"unknown scenario {scenario}; there are {', '.join(sorted(SCENARIOS))}")
    planned = _read_faults(faults)
    try:
        serve(people=people, seed=seed, port=port, scenario=scenario, faults=planned)
    except OSError as error:
        if error.errno != EADDRINUSE:
            raise
        raise ValueError(f"port {port} is in use: choose another one with --port") from error


def _read_faults(path: Path | None) -> list[Fault]:
    try:
        return parse_faults(json.loads(path.read_text(encoding="utf-8"))) if path else []
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a list of faults: {error}") from error


if __name__ == "__main__":
    main()
