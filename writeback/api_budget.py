"""The API budget: the calls that a plan needs, and those that the CRM's daily quota leaves."""

from dataclasses import dataclass
from math import inf

from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration

from connectors import AnyConnector, Client
from connectors.client_state import reserved_calls
from models import WriteVolume
from settings import Rule, read_settings


@configspec
class QuotaSettings(BaseConfiguration):
    """`QUOTA__RESERVE`: calls of the daily quota that are left for other programs.

    Below 1 it is a share of the daily quota, from 1 on a number of calls.
    """

    reserve: float = 0.1


@dataclass(frozen=True)
class ApiBudget:
    """One CRM's API calls: needed by the plan, remaining today, reserved for other programs.

    `max_records` is how many records can be written with them. `remaining` and `reserve` are None
    where the CRM does not report its quota: then all records are written.
    """

    crm: str
    records: int
    needed: int
    remaining: int | None
    reserve: int | None
    max_records: int


def load_reserve(problems: list[str] | None = None) -> float:
    """Read the reserve that is configured, or the default.

    problems: see `read_settings`.
    Raises:   ConfigError where it is not a number from 0 on.
    """
    return read_settings(
        QuotaSettings(), "quota", rules={"reserve": _RESERVE}, problems=problems
    ).reserve


_RESERVE = Rule(
    "a share of the day's calls such as 0.1, or a number of calls from 1 on",
    lambda value: 0 <= value < inf,
)


def api_budget(
    crm: str, connector: AnyConnector, client: Client, volume: WriteVolume, reserve: float
) -> ApiBudget:
    """Compare the calls that a plan needs with those that may be spent."""
    needed = connector.estimate_writes(client, volume) if volume.records else 0
    remaining = client.calls_remaining
    reserved = reserved_calls(reserve, client.daily_limit)
    max_records = volume.records
    if needed and remaining is not None and reserved is not None and needed > remaining - reserved:
        max_records = volume.records * max(remaining - reserved, 0) // needed
    return ApiBudget(crm, volume.records, needed, remaining, reserved, max_records)
