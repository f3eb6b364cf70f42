"""Salesforce: what every CRM's folder offers."""

from connectors.salesforce.auth import Settings
from connectors.salesforce.catalog import PRIMARY_KEY, catalog
from connectors.salesforce.client import connect
from connectors.salesforce.sink import estimate_writes, write
from connectors.salesforce.source import estimate, reread, source
from connectors.salesforce.verify import find_differences, is_countable

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
