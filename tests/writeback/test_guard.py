"""The guard's limits: what they may be."""

import pytest

from errors import ConfigError
from writeback.guard import Limits, limits


def test_the_limits_have_defaults() -> None:
    """Half of the records changed, a tenth of them moved down."""
    found = limits()

    assert (found.changed_share, found.demoted_share) == (
        Limits.changed_share,
        Limits.demoted_share,
    )


@pytest.mark.parametrize("name", ["GUARD__CHANGED_SHARE", "GUARD__DEMOTED_SHARE"])
@pytest.mark.parametrize("text", ["50", "-0.1", "nan", "half"])
def test_a_limit_that_would_never_stop_anything_is_refused(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes 50 means half of the records."""
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigError, match=name):
        limits()
