"""Marks the tests of this folder, so that the fast run of the product's tests leaves them out."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
CONFORMANCE = HERE / "conformance"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add the marker `sandbox`, or `conformance` to the tests of the conformance suite."""
    for item in items:
        if CONFORMANCE in item.path.parents:
            item.add_marker("conformance")
        elif HERE in item.path.parents:
            item.add_marker("sandbox")
