"""The checks of `doctor` for each CRM. A connector adds its own (`Connector.checks`).

To add a check for every CRM, write a function that yields findings, and add a row to CHECKS.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from dlt.common.configuration.specs import BaseConfiguration

from account_setup import network
from config.checks import catalog_warnings, check_catalog
from config.loader import Configuration
from config.mapping import Mapping as CrmMapping
from config.mapping import with_sources
from connectors import AnyConnector, Check, Client, ConnectedAccount, connector
from errors import ConfigError
from models import Account, Catalog, FieldSelection, Finding, FindingStatus, WriteVolume
from session import missing_stage_fields, read_crm_settings
from writeback.api_budget import api_budget, load_reserve

NOT_READ = Finding("skipped", "the mapping files have errors")


class CrmUnderTest:
    """One CRM. Each check stores here what the later ones need."""

    client: Client
    applied: CrmMapping

    def __init__(
        self, crm: str, configuration: Configuration | None, known_account: Account | None
    ) -> None:
        """Start with nothing but the name; `configuration` is None where the files have errors."""
        self.crm = crm
        self.configuration = configuration
        self.known_account = known_account
        self.connector: AnyConnector = connector(crm)
        self.settings: BaseConfiguration = self.connector.settings()
        self.catalog: Catalog = {}

    @property
    def url(self) -> str:
        """Return the address of the CRM; empty where it is not set or not known."""
        return self.connector.address(self.settings) if self.connector.address else ""

    @property
    def fields(self) -> FieldSelection:
        """Return the fields that the mapping names, by object."""
        if self.configuration is None:
            return {}
        fields = with_sources(self.configuration.definition.fields())
        return self.configuration.mappings[self.crm].field_selection(fields)

    def connected(self) -> ConnectedAccount[Client]:
        """Return what the checks of the connector are given."""
        return ConnectedAccount(self.client, self.catalog, self.fields)


def checks_of(crm: CrmUnderTest) -> tuple[Check[CrmUnderTest], ...]:
    """Return the checks of every CRM, and those that the connector adds."""
    return (*CHECKS, *(_of_connector(check) for check in crm.connector.checks))


def _of_connector(check: Check[ConnectedAccount[Client]]) -> Check[CrmUnderTest]:
    return Check(
        id=check.id,
        title=check.title,
        run=lambda crm: check.run(crm.connected()),
        advice=check.advice,
        needs=check.needs,
    )


def _settings(crm: CrmUnderTest) -> Iterator[Finding]:
    problems: list[str] = []
    crm.settings = read_crm_settings([crm.crm], problems)[crm.crm]
    for problem in problems:
        yield Finding("fault", problem)


def _login(crm: CrmUnderTest) -> Iterator[Finding]:
    crm.client = crm.connector.connect(crm.settings)
    account = crm.client.check_connection()
    today = datetime.now(UTC).date()
    for warning in (*crm.client.warnings, *crm.client.support_warnings(today)):
        yield Finding("warning", warning)
    known = crm.known_account
    if known and account.is_other_than(known):
        yield Finding(
            "fault",
            f"{account.name} is not {known.name}, from which the warehouse was filled",
            "Correct the login or the host, or use another warehouse, or start over with"
            " `run --adopt`.",
        )
    yield Finding("ok", account.name)


def _read(crm: CrmUnderTest) -> Iterator[Finding]:
    if crm.configuration is None:
        yield NOT_READ
        return
    crm.catalog = crm.connector.catalog(crm.client, crm.fields)
    mapping = crm.configuration.mappings[crm.crm]
    crm.applied, _ = mapping.drop_missing_optional(crm.catalog)
    yield Finding("ok", f"{len(crm.catalog)} objects")


def _fields(crm: CrmUnderTest) -> Iterator[Finding]:
    if crm.configuration is None:
        yield NOT_READ
        return
    for problem in check_catalog(crm.configuration, crm.crm, crm.catalog):
        yield Finding("fault", str(problem))
    for warning in catalog_warnings(crm.configuration, crm.crm, crm.catalog):
        yield Finding("warning", str(warning), "Add the option in the CRM, or correct the line.")
    _, missing = crm.configuration.mappings[crm.crm].drop_missing_optional(crm.catalog)
    if missing:
        yield Finding(
            "warning",
            f"optional, and not there: {', '.join(missing)}",
            "Nothing, if you do not need them. `python sync.py fields` creates those that"
            " onefunnel writes.",
        )


def _write(crm: CrmUnderTest) -> Iterator[Finding]:
    if crm.configuration is None:
        yield NOT_READ
    elif crm.connector.require_write_access is None:
        yield Finding("skipped", "this connector cannot find out")
    else:
        written = [object for object, fields in crm.applied.write.items() if fields]
        crm.connector.require_write_access(crm.client, written)
        yield Finding("ok", ", ".join(written))


def _stage(crm: CrmUnderTest) -> Iterator[Finding]:
    if crm.configuration is None:
        yield NOT_READ
    elif text := missing_stage_fields(crm.crm, crm.configuration.mappings[crm.crm], crm.applied):
        yield Finding("fault", text)


def _quota(crm: CrmUnderTest) -> Iterator[Finding]:
    try:
        reserve = load_reserve()
    except ConfigError:
        reserve = 0.0  # the check of the settings reports it
    budget = api_budget(crm.crm, crm.connector, crm.client, WriteVolume(0), reserve)
    if budget.remaining is None:
        yield Finding("ok", "not reported by the CRM")
        return
    of = f" of {crm.client.daily_limit:,}" if crm.client.daily_limit else ""
    text = f"{budget.remaining:,}{of} calls are left today"
    is_low = budget.remaining <= (budget.reserve or 0)
    status: FindingStatus = "fault" if not budget.remaining else "warning" if is_low else "ok"
    yield Finding(status, f"{text}; {budget.reserve:,} are reserved" if is_low else text)


CHECKS: tuple[Check[CrmUnderTest], ...] = (
    Check(
        id="settings",
        title="settings",
        run=_settings,
        advice="Correct the setting; docs/operations.md lists all of them.",
    ),
    Check(
        id="dns",
        title="DNS",
        run=lambda crm: network.name_lookup(crm.url),
        advice="Correct the host in the setting. On a server without DNS, set HTTPS_PROXY.",
        needs=("settings",),
    ),
    Check(
        id="tls",
        title="connection, TLS",
        run=lambda crm: network.connection(crm.url),
        advice="Open the firewall for this host on port 443, or set HTTPS_PROXY.",
        needs=("dns",),
    ),
    Check(
        id="login",
        title="login",
        run=_login,
        advice="Correct the setting that the text names; docs/setup-fields.md says what is needed.",
        needs=("settings", "dns", "tls"),
    ),
    Check(
        id="read",
        title="permission to read",
        run=_read,
        advice="Grant what the text names; docs/mappings.md says what is needed for what.",
        needs=("login",),
    ),
    Check(
        id="fields",
        title="mapped fields",
        run=_fields,
        advice="Correct the line; or create the field: `python sync.py fields`; or permit it to the"
        " login.",
        needs=("read",),
    ),
    Check(
        id="write",
        title="permission to write",
        run=_write,
        advice="Grant what the text names. `plan` works without it; `run` and `apply` do not.",
        needs=("read",),
    ),
    Check(
        id="stage",
        title="a stage to write",
        run=_stage,
        advice="Create the fields: `python sync.py fields`.",
        needs=("read",),
    ),
    Check(
        id="quota",
        title="API calls left",
        run=_quota,
        advice="Wait until tomorrow, find what uses the calls, or lower QUOTA__RESERVE.",
        needs=("login",),
    ),
)
