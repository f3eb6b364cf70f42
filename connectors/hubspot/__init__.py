"""HubSpot: what every CRM's folder offers."""

from connectors.hubspot.catalog import catalog
from connectors.hubspot.client import Settings, connect
from connectors.hubspot.sink import apply, calls_for
from connectors.hubspot.source import source

__all__ = ["Settings", "apply", "calls_for", "catalog", "connect", "source"]
