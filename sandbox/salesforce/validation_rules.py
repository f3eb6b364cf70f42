"""Rules of the administrator: validation rules, failing flows, and duplicate rules.

The condition of a rule is one of SOQL: a record that matches it fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.predicates import key_of
from sandbox.salesforce.rows import Row
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.soql_compile import select
from sandbox.salesforce.store import SalesforceStore

CUSTOM = "FIELD_CUSTOM_VALIDATION_EXCEPTION"
_ALERT = "Use one of these records?"
_BLOCK = "You're creating a duplicate record. We recommend you use an existing record instead."


@dataclass(frozen=True)
class ValidationRule:
    """Fails records that match, with the administrator's message; a flow has another code."""

    matches: Callable[[Row], bool]
    message: str
    fields: tuple[str, ...] = ()
    code: str = CUSTOM

    def check(self, _store: SalesforceStore, _sobject: SObject, row: Row, _given: Row) -> None:
        """Raise if the row after the write matches."""
        if self.matches(row):
            raise ApiError(self.code, self.message, self.fields)


@dataclass(frozen=True)
class DuplicateRule:
    """Fails records that are equal in some fields; a header allows them unless it blocks."""

    name: str
    fields: tuple[str, ...]
    blocks: bool = False

    def check(self, store: SalesforceStore, sobject: SObject, row: Row, written: Row) -> None:
        """Raise if another live row has the same values in the written fields."""
        if not written.keys() & set(self.fields) or (store.allows_duplicates and not self.blocks):
            return
        wanted = self._key(sobject, row)
        if None in wanted:
            return
        name = ",".join(self.fields)
        same = store.tables[sobject.name].find_by(
            name, lambda one: [self._key(sobject, one)], wanted
        )
        twins = [one for one in same if one["Id"] != row.get("Id") and not one.get("IsDeleted")]
        if twins:
            raise self._refusal(sobject, twins)

    def _key(self, sobject: SObject, row: Row) -> tuple[Any, ...]:
        return tuple(key_of(sobject.fields[name], row.get(name)) for name in self.fields)

    def _refusal(self, sobject: SObject, twins: list[Row]) -> ApiError:
        message = _BLOCK if self.blocks else _ALERT
        matched = {
            "entityType": sobject.name,
            "errors": [],
            "matchEngine": "ExactMatchEngine",
            "matchRecords": [
                {
                    "additionalInformation": [],
                    "fieldDiffs": [],
                    "matchConfidence": 100.0,
                    "record": {"attributes": {"type": sobject.name}, "Id": one["Id"]},
                }
                for one in twins
            ],
            "rule": self.name,
            "size": len(twins),
            "success": True,
        }
        result = {
            "allowSave": not self.blocks,
            "duplicateRule": self.name,
            "duplicateRuleEntityType": sobject.name,
            "errorMessage": message,
            "matchResults": [matched],
        }
        # the API has this spelling
        return ApiError("DUPLICATES_DETECTED", message, (), more={"duplicateResut": result})


def validation_rule(
    store: SalesforceStore,
    sobject: str,
    when: str,
    message: str,
    *,
    fields: tuple[str, ...] = (),
    code: str = CUSTOM,
) -> None:
    """Build a rule that fails records of an object that match a SOQL condition."""
    query = f"SELECT Id FROM {sobject} WHERE {when}"  # noqa: S608  # the administrator writes it
    matches = select(store, query).matches
    store.rules[sobject].append(ValidationRule(matches, message, fields, code))


def duplicate_rule(
    store: SalesforceStore, sobject: str, *fields: str, blocks: bool = False
) -> None:
    """Build a rule that fails records equal to another one in all of these fields."""
    store.rules[sobject].append(DuplicateRule(f"{sobject}_duplicates", fields, blocks))


def check_rules(store: SalesforceStore, sobject: SObject, row: Row, written: Row) -> None:
    """Raise if a rule fails the row after the write."""
    for rule in store.rules[sobject.name]:
        rule.check(store, sobject, row, written)
