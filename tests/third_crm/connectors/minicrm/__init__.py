"""The connector of MiniCRM, an invented CRM: the example of docs/add-a-crm.md."""

LABEL = "MiniCRM"
"""The name of the CRM in reports. `connector.py` imports the client library; this file does not."""
