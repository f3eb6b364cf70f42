"""References between subrequests: `@{account.id}`, `@{query.records[0].Id}`."""

import re
from collections.abc import Mapping
from typing import Any

from sandbox.salesforce.errors import ApiError

_REFERENCE = re.compile(r"@\{(\w+)\.([\w.\[\]]+)\}")


def resolve_references(value: Any, answers: Mapping[str, Any]) -> Any:
    """Insert values of earlier responses into a request. Raises: ApiError without a value."""
    match value:
        case dict():
            return {name: resolve_references(one, answers) for name, one in value.items()}
        case list():
            return [resolve_references(one, answers) for one in value]
        case str():
            return _REFERENCE.sub(lambda found: _look_up(found, answers), value)
        case _:
            return value


def _look_up(found: re.Match[str], answers: Mapping[str, Any]) -> str:
    here = answers.get(found[1])
    for step in re.findall(r"\w+", found[2]):
        try:
            here = here[int(step)] if isinstance(here, list) else here[step]  # type: ignore[index]  # or TypeError
        except (KeyError, IndexError, TypeError, ValueError) as error:
            message = f"Invalid reference specified. No value for {found[2]} found in {found[1]}"
            raise ApiError("PROCESSING_HALTED", message) from error
    return str(here)
