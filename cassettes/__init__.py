"""Cassettes: HTTP traffic of both CRMs, recorded without personal data, and replayed."""
