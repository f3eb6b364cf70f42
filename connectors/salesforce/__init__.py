"""The Salesforce connector."""

LABEL = "Salesforce"
"""The name of the CRM in reports. `connector.py` imports the client library; this file does not."""
