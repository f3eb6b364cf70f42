"""The Salesforce APIs: REST, Composite, Bulk 2.0 and 1.0, SOAP login and OAuth.

README.md lists what it imitates, with sources, and what it does not.
"""
