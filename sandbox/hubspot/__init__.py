"""HubSpot on loopback: the HTTP contract of its CRM, made from the sandbox's people.

Not imitated: lists, exports, custom objects, tickets, webhooks, upsert, multi-account tokens,
restoring from the archive by hand, workflows and the account's own automation, limits of text
fields per plan, the 3-day life of e-mail offsets.
"""
