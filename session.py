"""Both CRMs, logged in and checked: what a run needs before its first pull."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dlt

from config.checks import against, halted
from config.loader import Configuration
from config.mapping import Mapping as CrmMapping
from config.mapping import with_sources
from config.yaml_document import Problem
from connectors import Client, Connector, connector
from connectors.extract import pipeline as rounds
from errors import ConfigError, DriftError
from models import Catalog, FieldType, Proof, Road, Wanted
from settings import read_settings

Landed = Mapping[str, Mapping[str, FieldType]]
"""What lies in the warehouse of one CRM: object -> field -> type."""


@dataclass(frozen=True)
class Connection:
    """One CRM: how to talk to it, what it really has, and the part of its mapping that applies.

    `misfits` are what the mapping names, was landed before, and is not so any more: the objects
    they are about are not read.
    """

    crm: str
    connector: Connector
    client: Client
    catalog: Catalog
    mapping: CrmMapping
    wanted: Wanted
    account: str
    left_out: tuple[str, ...] = field(default=())
    misfits: tuple[Problem, ...] = field(default=())

    def pull(self, pipeline: dlt.Pipeline, **options: Any) -> list[Proof]:
        """Land what the mapping wants and the account has, and hold it against the CRM."""
        misfit = {problem.about[0] for problem in self.misfits}
        wanted = {
            object: names
            for object, names in self.wanted.items()
            if object not in misfit and self.catalog.get(object, {}).keys() >= set(names)
        }
        return rounds.pull(pipeline, self.connector, self.client, wanted, self.catalog, **options)

    def roads(self, pipeline: dlt.Pipeline, *, full: bool) -> list[Road]:
        """Say how the next pull would read what the mapping wants."""
        found = (self.client, self.wanted, self.catalog)
        return rounds.planned(pipeline, self.connector, *found, full=full)


def log_in(
    configuration: Configuration, landed: Mapping[str, Landed] | None = None
) -> list[Connection]:
    """Log in to every CRM and hold its mapping against what the account really has.

    What does not fit though it was once `landed` is kept as a misfit: the account has changed.

    Raises: ConfigError naming every mistake of every mapping, before anything is pulled;
            AccessError where a login or a scope is missing.
    """
    clients = {
        crm: connector(crm).connect(read_settings(connector(crm).Settings(), "sources", crm))
        for crm in configuration.mappings
    }
    connections = [
        _connection(crm, client, configuration, (landed or {}).get(crm, {}))
        for crm, client in clients.items()
    ]
    wrong = [
        problem
        for connection in connections
        for problem in against(configuration, connection.crm, connection.catalog)
        if problem not in connection.misfits
    ]
    if wrong:
        raise ConfigError("\n".join(str(problem) for problem in wrong))
    return connections


def fit(configuration: Configuration, connections: Iterable[Connection]) -> None:
    """Make sure that all of what the mappings name could be read.

    Raises: DriftError naming line, object and field of what could not.
    """
    wrong = [
        str(problem)
        for one in connections
        for problem in (*one.misfits, *_halted(configuration, one))
    ]
    if wrong:
        raise DriftError(
            "\n".join(wrong) + "\nThese objects cannot be read as they are mapped. All others are,"
            " and nothing is decided or written. Correct the lines and run again; where only the"
            " type of a field changed, and the lines suit it, `run --full` reads its object anew"
        )


def _halted(configuration: Configuration, connection: Connection) -> Iterable[Problem]:
    for object, error in connection.client.halted.items():
        yield halted(configuration, connection.crm, object, error.field or "", str(error))


def _is_drift(problem: Problem, catalog: Catalog, landed: Landed) -> bool:
    """Tell what the account once had from what it never did: a mistake in the mapping."""
    object, name = problem.about
    before, now = landed.get(object, {}), catalog.get(object, {})
    if not name:
        return bool(before)
    return name in before and (name not in now or now[name].type != before[name])


def _connection(
    crm: str, client: Client, configuration: Configuration, landed: Landed
) -> Connection:
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
        tuple(
            problem
            for problem in against(configuration, crm, catalog)
            if _is_drift(problem, catalog, landed)
        ),
    )


def by_crm(connections: list[Connection]) -> Mapping[str, CrmMapping]:
    """The mappings as they apply, by CRM."""
    return {connection.crm: connection.mapping for connection in connections}
