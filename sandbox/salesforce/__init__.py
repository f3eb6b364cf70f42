"""Salesforce on loopback: REST, Composite, Bulk API 2.0 and OAuth over rows made of people.

Not imitated: SOAP, Apex, flows and triggers, validation and duplicate rules, sharing, record
types, sub-queries in SELECT, GROUP BY and aggregates other than COUNT(), compound fields, composite
graphs and references between sub-requests, upsert by external id, the Tooling API, Bulk API 1.0,
and the expiry of locators, jobs and the recycle bin.
"""
