"""Each mutation of `make mutants` fits the code as it is, and its tests are there."""

import pytest

from mutants import MUTANTS, ROOT, Mutant, mutated


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: f"{one.file}: {one.old.strip()[:40]}")
def test_the_text_of_a_mutation_is_found_once(mutant: Mutant) -> None:
    """And the fault changes something."""
    assert mutated(mutant, ROOT) != (ROOT / mutant.file).read_text(encoding="utf-8")
    assert all((ROOT / test).is_file() for test in mutant.tests)
