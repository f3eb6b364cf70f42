"""The HubSpot connector."""

LABEL = "HubSpot"
"""The name of the CRM in reports. `connector.py` imports the client library; this file does not."""
