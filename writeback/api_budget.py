"""The calls of the day: how many a plan needs, how many are left, and how many are for others."""

from dataclasses import dataclass
from math import inf

from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.specs import BaseConfiguration

from connectors import Client, Connector
from errors import ConfigError
from models import Load


@configspec
class Settings(BaseConfiguration):
    """`QUOTA__RESERVE`: calls of the day that are left to others.

    Below 1 it is a share of the day's calls, from 1 on a number of calls.
    """

    reserve: float = 0.1


@dataclass(frozen=True)
class Budget:
    """One CRM's calls: what the plan needs, what is left, how many records that is enough for.

    `left` and `reserve` are None where the CRM does not tell its calls: then all are written.
    """

    crm: str
    records: int
    needed: int
    left: int | None
    reserve: int | None
    affordable: int


def reserve() -> float:
    """The reserve configured, or the default.

    Raises: ConfigError where it is no number from 0 on.
    """
    try:
        share = resolve_configuration(Settings(), sections=("quota",)).reserve
    except ConfigurationException as error:
        raise ConfigError(_WRONG) from error
    if not 0 <= share < inf:
        raise ConfigError(_WRONG)
    return share


_WRONG = "QUOTA__RESERVE is a share of the day's calls such as 0.1, or a number of calls from 1 on"


def budget_of(crm: str, connector: Connector, client: Client, load: Load, reserve: float) -> Budget:
    """Hold the calls that a plan needs against those that may be spent."""
    needed = connector.calls_for(client, load) if load.records else 0
    left, kept = client.calls_left, _kept(client, reserve)
    affordable = load.records
    if left is not None and kept is not None and needed > left - kept:
        affordable = load.records * max(left - kept, 0) // needed
    return Budget(crm, load.records, needed, left, kept, affordable)


def _kept(client: Client, reserve: float) -> int | None:
    if reserve >= 1 or not reserve:
        return int(reserve)
    return None if client.calls_a_day is None else int(client.calls_a_day * reserve)
