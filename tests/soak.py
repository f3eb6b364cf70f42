"""Thousands of random schedules of faults: `make soak`. Ends with the number of violations.

The seed is printed; with it the same schedules come again.
"""

import argparse
import random
import sys
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).parents[1]))

from fault_schedules import SandboxCrms, Schedule, find_violations, schedule_strategy, serve_crms


def soaked(count: int, number: int, served: SandboxCrms) -> int:
    """Carry out as many schedules as asked for, print what each violates, and count it."""
    found: list[str] = []

    @seed(number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(schedule=schedule_strategy())
    def one(schedule: Schedule) -> None:
        if wrong := find_violations(schedule, served):
            found.extend(wrong)
            print(schedule, *wrong, sep="\n  ", flush=True)

    one()
    return len(found)


def main() -> int:
    """Soak, and give 1 where something was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    asked = parser.parse_args()
    print(f"{asked.schedules:,} schedules, seed: {asked.seed}", flush=True)
    with serve_crms() as served:
        found = soaked(asked.schedules, asked.seed, served)
    print(f"violations: {found}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
