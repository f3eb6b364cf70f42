"""The examples in the docstrings of transforms/ give the results they show."""

import doctest
from importlib import import_module

import pytest

MODULES = [
    "transforms.lifecycle.field_conditions",
    "transforms.lifecycle.score",
    "transforms.planning.crm_values",
    "transforms.staging.casting",
    "transforms.staging.fields",
    "transforms.staging.timestamps",
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_are_right(module):
    """A module in the list has examples, and all of them are right."""
    result = doctest.testmod(import_module(module))

    assert (result.attempted > 0, result.failed) == (True, 0)
