"""Seeded people and what happened to them, before any CRM logs it."""
