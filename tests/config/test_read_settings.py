"""Every bad or missing setting is reported at once, by name and without its value."""

import pytest
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue

from errors import ConfigError
from settings import Rule, raise_problems, read_settings
from warehouse.run_lock import lock_ttl
from writeback.api_budget import load_reserve
from writeback.guard import load_limits

SECRET = "planted-secret"


@configspec
class Example(BaseConfiguration):
    """Settings of every type."""

    token: TSecretStrValue = ""
    share: float = 0.5
    count: int = 7
    is_on: bool = True


RULES = {
    "token": Rule("the token of the app", bool),
    "share": Rule("a share from 0 to 1, such as 0.5", lambda share: 0 <= share <= 1),
}


def test_every_bad_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong type, a value out of range and a missing secret; no value is repeated."""
    monkeypatch.setenv("EXAMPLE__SHARE", "50")
    monkeypatch.setenv("EXAMPLE__COUNT", SECRET)
    monkeypatch.setenv("EXAMPLE__IS_ON", SECRET)

    with pytest.raises(ConfigError) as error:
        read_settings(Example(), "example", rules=RULES)

    assert str(error.value).splitlines() == [
        "EXAMPLE__TOKEN (in .dlt/secrets.toml: example.token) is missing: "
        "it must be the token of the app",
        "EXAMPLE__SHARE (in .dlt/config.toml: example.share) must be a share from 0 to 1, "
        "such as 0.5",
        "EXAMPLE__COUNT (in .dlt/config.toml: example.count) must be a whole number, such as 7",
        "EXAMPLE__IS_ON (in .dlt/config.toml: example.is_on) must be true or false, such as True",
    ]


def test_bad_settings_are_replaced_by_defaults_while_problems_are_collected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller can go on and report the rest; good settings are kept."""
    monkeypatch.setenv("EXAMPLE__TOKEN", "good")
    monkeypatch.setenv("EXAMPLE__SHARE", "50")
    monkeypatch.setenv("EXAMPLE__COUNT", "much")
    problems: list[str] = []

    example = read_settings(Example(), "example", rules=RULES, problems=problems)

    assert (example.token, example.share, example.count) == ("good", 0.5, 7)
    assert [line.partition(" ")[0] for line in problems] == ["EXAMPLE__SHARE", "EXAMPLE__COUNT"]


def test_groups_of_settings_share_one_list_of_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard, the API budget and the run lock are reported in one error."""
    for name in ("GUARD__MAX_CHANGED_RATIO", "QUOTA__RESERVE", "LOCK__TTL_MINUTES"):
        monkeypatch.setenv(name, "-1")
    monkeypatch.setenv("GUARD__MIN_RECORDS", "many")
    problems: list[str] = []

    load_limits(problems)
    load_reserve(problems)
    lock_ttl(problems)

    with pytest.raises(ConfigError) as error:
        raise_problems(problems)
    assert [line.partition(" ")[0] for line in str(error.value).splitlines()] == [
        "GUARD__MAX_CHANGED_RATIO",
        "GUARD__MIN_RECORDS",
        "QUOTA__RESERVE",
        "LOCK__TTL_MINUTES",
    ]


@pytest.mark.parametrize("minutes", ["inf", "nan", "1e300", "0"])
def test_a_number_that_is_no_length_of_time_is_reported(
    minutes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule whose calculation fails rejects the value."""
    monkeypatch.setenv("LOCK__TTL_MINUTES", minutes)

    with pytest.raises(ConfigError, match=r"LOCK__TTL_MINUTES .* such as 15$"):
        lock_ttl()


def test_no_problem_raises_nothing() -> None:
    """An empty list is a success."""
    raise_problems([])
