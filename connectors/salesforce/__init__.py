"""Salesforce: what every CRM's folder offers."""

from connectors.salesforce.auth import Settings
from connectors.salesforce.catalog import KEY, catalog
from connectors.salesforce.client import connect
from connectors.salesforce.sink import apply, calls_for
from connectors.salesforce.source import again, planned, source
from connectors.salesforce.verify import gaps, is_provable

__all__ = [
    "KEY",
    "Settings",
    "again",
    "apply",
    "calls_for",
    "catalog",
    "connect",
    "gaps",
    "is_provable",
    "planned",
    "source",
]
