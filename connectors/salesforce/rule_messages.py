"""The messages of validation rules: of all that a refusal says, these words are the org's own."""

from contextlib import suppress
from dataclasses import replace
from functools import cache

from connectors.salesforce.client import DATA_PATH, Client
from errors import SyncError
from models import Outcome


class RuleMessages:
    """The messages of the active validation rules of an org, read once per object and run."""

    def __init__(self, client: Client) -> None:
        """Read nothing yet."""
        self._client = client
        self._of_object = cache(self._read)

    def keep_known(self, outcome: Outcome) -> Outcome:
        """Take the CRM's message out of an outcome, unless a rule of the org has these words.

        Apex triggers refuse with the same code, and with words that may hold values of the record.
        """
        message = outcome.crm_message
        if message is None or message in self._of_object(outcome.object):
            return outcome
        return replace(outcome, crm_message=None)

    def _read(self, object: str) -> frozenset[str]:
        soql = (
            "SELECT ErrorMessage FROM ValidationRule "
            f"WHERE EntityDefinition.QualifiedApiName = '{object}' AND Active = true"
        )
        # the user may not view the setup: then no message is known, and the outcome stays
        with suppress(SyncError):
            rows = self._client.read_page(f"{DATA_PATH}/tooling/query", q=soql)["records"]
            return frozenset(row["ErrorMessage"] for row in rows)
        return frozenset()
