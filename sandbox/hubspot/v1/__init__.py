"""HubSpot's first API, for old clients: ids are numbers, times are milliseconds."""
