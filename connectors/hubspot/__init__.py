"""HubSpot: what every CRM's folder offers."""

from connectors.hubspot.catalog import PRIMARY_KEY, catalog
from connectors.hubspot.client import Settings, connect
from connectors.hubspot.sink import estimate_writes, write
from connectors.hubspot.source import estimate, reread, source
from connectors.hubspot.verify import find_differences, is_countable

__all__ = [
    "PRIMARY_KEY",
    "Settings",
    "catalog",
    "connect",
    "estimate",
    "estimate_writes",
    "find_differences",
    "is_countable",
    "reread",
    "source",
    "write",
]
