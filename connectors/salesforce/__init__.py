"""Salesforce: what every CRM's folder offers."""

from connectors.salesforce.catalog import KEY, catalog
from connectors.salesforce.client import connect
from connectors.salesforce.login import Settings
from connectors.salesforce.proof import gaps, is_provable
from connectors.salesforce.sink import apply, calls_for
from connectors.salesforce.source import again, planned, source

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
