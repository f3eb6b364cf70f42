"""The HubSpot connector."""

from connectors import Connector
from connectors.hubspot import LABEL
from connectors.hubspot.account_checks import CHECKS, address, require_write_access
from connectors.hubspot.catalog import PRIMARY_KEY, catalog
from connectors.hubspot.client import Client, Settings, connect, settings_problems
from connectors.hubspot.field_setup import FIELD_SETUP
from connectors.hubspot.sink import estimate_writes, write
from connectors.hubspot.source import estimate, reread, source
from connectors.hubspot.verify import existing_ids, find_differences, is_countable
from connectors.hubspot.writers import value_writers

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
