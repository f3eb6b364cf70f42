"""Both CRMs, logged in and checked: what a run needs before its first pull."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dlt
from dlt.common.configuration.specs import BaseConfiguration

from config.checks import check_catalog, unreadable
from config.lifecycle_columns import RANKED_COLUMNS
from config.loader import Configuration
from config.mapping import Mapping as CrmMapping
from config.mapping import with_sources
from config.yaml_document import Problem
from connectors import AnyConnector, Client, connector, crm_label
from connectors.extract import pipeline as rounds
from errors import AccessError, AccountError, ConfigError, DriftError
from models import Account, Catalog, ExtractEstimate, FieldSelection, FieldType, Verification
from settings import raise_problems, read_settings

SourceTypes = Mapping[str, Mapping[str, FieldType]]
"""The landed fields of one CRM: object -> field -> type."""


@dataclass(frozen=True)
class CrmSession:
    """One CRM: how to talk to it, what it really has, and the part of its mapping that applies.

    `misfits` are what the mapping names, was landed before, and is not so any more: the objects
    they are about are not read.
    """

    crm: str
    connector: AnyConnector
    client: Client
    catalog: Catalog
    mapping: CrmMapping
    selected_fields: FieldSelection
    account: Account
    skipped_optional: tuple[str, ...] = field(default=())
    drift_problems: tuple[Problem, ...] = field(default=())

    def extract(
        self,
        pipeline: dlt.Pipeline,
        *,
        reserve: float,
        only: Collection[str] | None = None,
        **options: Any,
    ) -> Verification:
        """Land what the mapping wants and the account has, and hold it against the CRM.

        `only` names the objects to read; None: all of them. `reserve` is left of the API quota.

        Raises: QuotaError where no more is left: what was landed stays.
        """
        misfit = {problem.object_and_field[0] for problem in self.drift_problems}
        wanted = {
            object: names
            for object, names in self.selected_fields.items()
            if (only is None or object in only)
            and object not in misfit
            and self.catalog.get(object, {}).keys() >= set(names)
        }
        with self.client.keep_reserve(reserve):
            return rounds.extract_and_verify(
                pipeline, self.connector, self.client, wanted, self.catalog, **options
            )

    def logs(self) -> list[str]:
        """List the objects that the CRM does not count, such as form submissions."""
        return [name for name in self.selected_fields if not self.connector.is_countable(name)]

    def estimate_extract(self, pipeline: dlt.Pipeline, *, full: bool) -> list[ExtractEstimate]:
        """Say how the next pull would read what the mapping wants."""
        found = (self.client, self.selected_fields, self.catalog)
        return rounds.estimate(pipeline, self.connector, *found, full=full)


def connect_all(
    configuration: Configuration,
    source_types: Mapping[str, SourceTypes] | None = None,
    *,
    known_accounts: Mapping[str, Account] | None = None,
) -> list[CrmSession]:
    """Log in to every CRM and hold its mapping against what the account really has.

    What does not fit though it was once `landed` is kept as a misfit: the account has changed.
    `known_accounts` are those that the warehouse was filled from.

    Raises: AccountError: a login leads to another account than before; nothing was read.
            ConfigError naming every bad setting of every CRM, before the first call;
            ConfigError naming every mistake of every mapping, before anything is pulled;
            AccessError where a login or a scope is missing.
    """
    clients = {
        crm: connector(crm).connect(settings)
        for crm, settings in read_crm_settings(configuration.mappings).items()
    }
    accounts = {crm: client.check_connection() for crm, client in clients.items()}
    _require_same_accounts(accounts, known_accounts or {})
    connections = [
        _open_session(crm, client, accounts[crm], configuration, (source_types or {}).get(crm, {}))
        for crm, client in clients.items()
    ]
    problems = [
        problem
        for connection in connections
        for problem in check_catalog(configuration, connection.crm, connection.catalog)
        if problem not in connection.drift_problems
    ]
    if problems:
        raise ConfigError("\n".join(str(problem) for problem in problems))
    return connections


def read_crm_settings(
    crms: Iterable[str], problems: list[str] | None = None
) -> dict[str, BaseConfiguration]:
    """Read how to reach each CRM, and check it without a call.

    problems: see `read_settings`.
    Raises:   ConfigError naming every bad setting of every CRM, where no list collects them.
    """
    lines: list[str] = [] if problems is None else problems
    found = {}
    for crm in crms:
        settings = read_settings(connector(crm).settings(), "sources", crm, problems=lines)
        lines += (line for line in connector(crm).settings_problems(settings) if line not in lines)
        found[crm] = settings
    if problems is None:
        raise_problems(lines)
    return found


def connect(crm: str) -> Client:
    """Log in to a CRM with its settings.

    Raises: ConfigError: a setting is missing or wrong. AccessError: the login is refused.
    """
    return connector(crm).connect(read_crm_settings([crm])[crm])


def require_stage_fields(configuration: Configuration, sessions: Iterable[CrmSession]) -> None:
    """Make sure that each CRM has a field left into which its mapping writes a stage.

    Fields marked `optional` are left out where the account does not have them. Where all of them
    are, a run would change no stage in this CRM and report success.

    Raises: ConfigError naming the CRMs and their missing fields.
    """
    problems = [
        missing_stage_fields(one.crm, configuration.mappings[one.crm], one.mapping)
        for one in sessions
    ]
    if any(problems):
        raise ConfigError("\n".join(filter(None, problems)))


def missing_stage_fields(crm: str, written: CrmMapping, applied: CrmMapping) -> str:
    """Say which stage fields an account lacks, where it has none of them; else an empty text."""
    wanted = _stage_fields(written)
    if not wanted or _stage_fields(applied):
        return ""
    return (
        f"{crm_label(crm)} has no field left to write a stage into: {', '.join(wanted)} are missing"
        f" or hidden. `python sync.py fields` shows how to create them; or take them out of `write`"
        f" in mappings/{crm}.yaml"
    )


def _stage_fields(mapping: CrmMapping) -> list[str]:
    return [
        f"{object}.{name}"
        for object, fields in mapping.write.items()
        for name, write in fields.items()
        if write.from_ in RANKED_COLUMNS
    ]


def require_write_access(sessions: Iterable[CrmSession]) -> None:
    """Make sure that each login may write what its mapping writes, without a write.

    A connector that cannot find out is not asked.

    Raises: AccessError naming the missing permissions of every CRM.
    """
    denied: list[str] = []
    for one in sessions:
        if one.connector.require_write_access is not None:
            try:
                written = [object for object, fields in one.mapping.write.items() if fields]
                one.connector.require_write_access(one.client, written)
            except AccessError as error:
                denied.append(str(error))
    if denied:
        raise AccessError("\n".join(denied) + "\nNothing was written")


def _require_same_accounts(
    accounts: Mapping[str, Account], known_accounts: Mapping[str, Account]
) -> None:
    """Make sure that no login leads to another account than the one the rows here came from.

    An account whose id the login may not read is not compared.

    Raises: AccountError naming every account that differs.
    """
    different = [
        f"{account.name} (id {account.id}) is not {known.name} (id {known.id}), from which the "
        f"rows of {crm_label(crm)} in the warehouse were read"
        for crm, account in accounts.items()
        if (known := known_accounts.get(crm)) and account.is_other_than(known)
    ]
    if different:
        raise AccountError(
            "\n".join(different)
            + "\nNothing was read or written. Correct the login or the host; or use another"
            " warehouse for this account; or start over with `run --adopt`, which deletes what the"
            " warehouse holds of the other account, its journal too"
        )


def ensure_schema_unchanged(configuration: Configuration, sessions: Iterable[CrmSession]) -> None:
    """Make sure that all of what the mappings name could be read.

    Raises: DriftError naming line, object and field of what could not.
    """
    problems = [
        str(problem)
        for one in sessions
        for problem in (*one.drift_problems, *_unreadable_objects(configuration, one))
    ]
    if problems:
        raise DriftError(
            "\n".join(problems)
            + "\nThese objects cannot be read as they are mapped. All other objects were read;"
            " nothing was computed or written. Correct the lines and run again. Where only the type"
            " of a field changed and the mapping fits it, use `run --full-refresh`"
        )


def _unreadable_objects(configuration: Configuration, connection: CrmSession) -> Iterable[Problem]:
    for object, error in connection.client.failed_objects.items():
        yield unreadable(configuration, connection.crm, object, error.field or "", str(error))


def _is_drift(problem: Problem, catalog: Catalog, landed: SourceTypes) -> bool:
    """Say whether the account had the field before; otherwise the mapping is wrong."""
    object, name = problem.object_and_field
    before, now = landed.get(object, {}), catalog.get(object, {})
    if not name:
        return bool(before)
    return name in before and (name not in now or now[name].type != before[name])


def _open_session(
    crm: str,
    client: Client,
    account: Account,
    configuration: Configuration,
    landed: SourceTypes,
) -> CrmSession:
    field_names = with_sources(configuration.definition.fields())
    mapping = configuration.mappings[crm]
    catalog = connector(crm).catalog(client, mapping.field_selection(field_names))
    applied, skipped_optional = mapping.drop_missing_optional(catalog)
    return CrmSession(
        crm,
        connector(crm),
        client,
        catalog,
        applied,
        applied.field_selection(field_names),
        account,
        tuple(skipped_optional),
        tuple(
            problem
            for problem in check_catalog(configuration, crm, catalog)
            if _is_drift(problem, catalog, landed)
        ),
    )


def mappings_by_crm(sessions: list[CrmSession]) -> Mapping[str, CrmMapping]:
    """The mappings as they apply, by CRM."""
    return {connection.crm: connection.mapping for connection in sessions}


def catalogs_by_crm(sessions: list[CrmSession]) -> Mapping[str, Catalog]:
    """The fields that each account really has, by CRM."""
    return {connection.crm: connection.catalog for connection in sessions}
