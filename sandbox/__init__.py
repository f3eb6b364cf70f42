"""HubSpot and Salesforce as HTTP servers on loopback, with generated data and planned faults."""
