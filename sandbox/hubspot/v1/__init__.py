"""HubSpot's first API, which old clients still speak: ids are numbers, instants milliseconds."""
