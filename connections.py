"""Both CRMs, logged in and checked: what a run needs before its first pull."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dlt

from configuration import Configuration
from connectors import Client, Connector, connector, rounds
from connectors.settings import settings
from contract import Catalog, Proof, Road, Wanted
from errors import ConfigError
from transforms.check import against
from transforms.mapping import Mapping as CrmMapping
from transforms.mapping import with_sources


@dataclass(frozen=True)
class Connection:
    """One CRM: how to talk to it, what it really has, and the part of its mapping that applies."""

    crm: str
    connector: Connector
    client: Client
    catalog: Catalog
    mapping: CrmMapping
    wanted: Wanted
    account: str
    left_out: tuple[str, ...] = field(default=())

    def pull(self, pipeline: dlt.Pipeline, **options: Any) -> list[Proof]:
        """Land what the mapping wants, and hold it against the CRM."""
        found = (self.client, self.wanted, self.catalog)
        return rounds.pull(pipeline, self.connector, *found, **options)

    def roads(self, pipeline: dlt.Pipeline, *, full: bool) -> list[Road]:
        """Say how the next pull would read what the mapping wants."""
        found = (self.client, self.wanted, self.catalog)
        return rounds.planned(pipeline, self.connector, *found, full=full)


def log_in(configuration: Configuration) -> list[Connection]:
    """Log in to every CRM and hold its mapping against what the account really has.

    Raises: ConfigError naming every mistake of every mapping, before anything is pulled;
            AccessError where a login or a scope is missing.
    """
    clients = {crm: connector(crm).connect(settings(crm)) for crm in configuration.mappings}
    connections = [_connection(crm, client, configuration) for crm, client in clients.items()]
    wrong = [
        problem
        for connection in connections
        for problem in against(configuration, connection.crm, connection.catalog)
    ]
    if wrong:
        raise ConfigError("\n".join(str(problem) for problem in wrong))
    return connections


def _connection(crm: str, client: Client, configuration: Configuration) -> Connection:
    asked = with_sources(configuration.definition.fields())
    mapping = configuration.mappings[crm]
    account = client.account()
    catalog = connector(crm).catalog(client, mapping.wanted(asked))
    applied, left_out = mapping.without(catalog)
    return Connection(
        crm,
        connector(crm),
        client,
        catalog,
        applied,
        applied.wanted(asked),
        account,
        tuple(left_out),
    )


def by_crm(connections: list[Connection]) -> Mapping[str, CrmMapping]:
    """The mappings as they apply, by CRM."""
    return {connection.crm: connection.mapping for connection in connections}
