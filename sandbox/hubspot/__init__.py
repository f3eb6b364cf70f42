"""The HubSpot API, with records generated from the people of the seed.

README.md lists what it imitates, with sources, and what it does not.
"""
