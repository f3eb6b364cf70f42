"""HubSpot: what every CRM's folder offers."""

from connectors.hubspot.catalog import KEY, catalog
from connectors.hubspot.client import Settings, connect
from connectors.hubspot.sink import apply, calls_for
from connectors.hubspot.source import again, planned, source
from connectors.hubspot.verify import gaps, is_provable

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
