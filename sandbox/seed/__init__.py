"""Generated people and their events, independent of a CRM."""
