"""Drive whole runs over simulated days and check both CRMs after each: `make soak-world`.

Ends with the number of violations. The seeds are printed; with a seed the same days come again.
"""

import argparse
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from world_soak.happenings import HAPPENINGS
from world_soak.loop import live


def main() -> int:
    """Soak, and give 1 where something was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="number of worlds")
    parser.add_argument("--days", type=int, default=21)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=random.randrange(2**31))
    asked = parser.parse_args()
    violations = 0
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        print(f"seed {seed}: {asked.days} days, {asked.people} people", flush=True)
        days = random.Random(seed).choices(sorted(HAPPENINGS), k=asked.days - 1)
        violations += len(live(seed, asked.people, ["nothing_happens", *days]))
    print(f"violations: {violations}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
