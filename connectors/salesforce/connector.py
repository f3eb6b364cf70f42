"""The Salesforce connector."""

from connectors import Connector
from connectors.salesforce import LABEL
from connectors.salesforce.account_checks import CHECKS, address, require_write_access
from connectors.salesforce.auth import Settings, settings_problems
from connectors.salesforce.catalog import PRIMARY_KEY, catalog
from connectors.salesforce.client import Client, connect
from connectors.salesforce.field_setup import FIELD_SETUP
from connectors.salesforce.sink import estimate_writes, write
from connectors.salesforce.source import estimate, reread, source
from connectors.salesforce.verify import existing_ids, find_differences, is_countable
from connectors.salesforce.writers import value_writers

CONNECTOR: Connector[Settings, Client] = Connector(
    label=LABEL,
    primary_key=PRIMARY_KEY,
    settings=Settings,
    settings_problems=settings_problems,
    connect=connect,
    catalog=catalog,
    source=source,
    reread=reread,
    estimate=estimate,
    is_countable=is_countable,
    find_differences=find_differences,
    existing_ids=existing_ids,
    write=write,
    estimate_writes=estimate_writes,
    value_writers=value_writers,
    address=address,
    require_write_access=require_write_access,
    checks=CHECKS,
    field_setup=FIELD_SETUP,
)
