"""What an administrator forbids: validation rules, flows that fail, and duplicates.

A rule's condition is that of a query: a record that would match it is refused.
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

_CUSTOM = "FIELD_CUSTOM_VALIDATION_EXCEPTION"
_ALERT = "Use one of these records?"
_BLOCK = "You're creating a duplicate record. We recommend you use an existing record instead."


@dataclass(frozen=True)
class ValidationRule:
    """Refuses records that match, with the administrator's own words; a flow with another code."""

    matches: Callable[[Row], bool]
    message: str
    fields: tuple[str, ...] = ()
    code: str = _CUSTOM

    def check(self, _store: SalesforceStore, _sobject: SObject, row: Row, _given: Row) -> None:
        """Refuse a row as it would be after the write."""
        if self.matches(row):
            raise ApiError(self.code, self.message, self.fields)


@dataclass(frozen=True)
class DuplicateRule:
    """Refuses records equal in some fields; what only alerts lets pass who says so."""

    name: str
    fields: tuple[str, ...]
    blocks: bool = False

    def check(self, store: SalesforceStore, sobject: SObject, row: Row, given: Row) -> None:
        """Refuse a row whose fields were written and are another live row's as well."""
        if not given.keys() & set(self.fields) or (store.allows_duplicates and not self.blocks):
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
        said = _BLOCK if self.blocks else _ALERT
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
            "errorMessage": said,
            "matchResults": [matched],
        }
        # the API spells the key like this
        return ApiError("DUPLICATES_DETECTED", said, (), more={"duplicateResut": result})


def validation_rule(
    store: SalesforceStore,
    sobject: str,
    when: str,
    message: str,
    *,
    fields: tuple[str, ...] = (),
    code: str = _CUSTOM,
) -> None:
    """Refuse records of an object for which a condition of SOQL would hold."""
    query = f"SELECT Id FROM {sobject} WHERE {when}"  # noqa: S608  # the administrator writes it
    matches = select(store, query).matches
    store.rules[sobject].append(ValidationRule(matches, message, fields, code))


def duplicate_rule(
    store: SalesforceStore, sobject: str, *fields: str, blocks: bool = False
) -> None:
    """Refuse records of an object that are equal to another in all of these fields."""
    store.rules[sobject].append(DuplicateRule(f"{sobject}_duplicates", fields, blocks))


def check_rules(store: SalesforceStore, sobject: SObject, row: Row, given: Row) -> None:
    """Refuse a row, as it would be after `given` was written, where a rule says so."""
    for rule in store.rules[sobject.name]:
        rule.check(store, sobject, row, given)
