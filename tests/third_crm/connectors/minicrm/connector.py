"""The connector of MiniCRM, an invented CRM: the example of docs/add-a-crm.md."""

from connectors import Connector

from . import LABEL
from .account_checks import CHECKS, address
from .catalog import PRIMARY_KEY, catalog
from .client import Client, Settings, connect
from .sink import estimate_writes, write
from .source import estimate, reread, source
from .verify import existing_ids, find_differences, is_countable

CONNECTOR: Connector[Settings, Client] = Connector(
    label=LABEL,
    primary_key=PRIMARY_KEY,
    settings=Settings,
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
    address=address,
    checks=CHECKS,
)
