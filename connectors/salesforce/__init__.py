"""Salesforce: what every CRM's folder offers."""

from connectors.salesforce.catalog import catalog
from connectors.salesforce.client import Settings, connect
from connectors.salesforce.sink import apply, calls_for
from connectors.salesforce.source import source

__all__ = ["Settings", "apply", "calls_for", "catalog", "connect", "source"]
