"""The guard's limits: what they may be."""

import pytest

from errors import ConfigError
from writeback.guard import Limits, load_limits


def test_the_limits_have_defaults() -> None:
    """Half of the records changed, a tenth of them moved down."""
    found = load_limits()

    assert (found.max_changed_ratio, found.max_demoted_ratio) == (
        Limits.max_changed_ratio,
        Limits.max_demoted_ratio,
    )


@pytest.mark.parametrize("name", ["GUARD__MAX_CHANGED_RATIO", "GUARD__MAX_DEMOTED_RATIO"])
@pytest.mark.parametrize("text", ["50", "-0.1", "nan", "half"])
def test_a_limit_that_would_never_stop_anything_is_refused(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes 50 means half of the records."""
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigError, match=name):
        load_limits()
