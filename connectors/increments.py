"""One object of a CRM as a dlt resource that remembers where its last pull began."""

from collections.abc import Callable, Collection, Iterator, MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from contract import Catalog, Field
from errors import AccessError, ConfigError, RefusedError

OVERLAP = timedelta(minutes=5)
"""How far a pull reaches back behind the start of the one before.

Both CRMs show a record as modified before they let it be found: HubSpot's search index is late,
Salesforce commits long transactions under the stamp of their beginning. What comes twice, the
primary key removes.
"""


def resource(
    name: str,
    read: Callable[[datetime | None], Iterator[pa.Table]],
    *,
    wanted: Collection[str],
    now: Callable[[], datetime],
    key: Sequence[str],
    latest: str,
    full: bool = False,
    denied: Callable[[AccessError], pa.Table] | None = None,
) -> DltResource:
    """Make the resource. `read` gets the instant to read from, or None to read everything.

    Everything is read the first time, when a field is newly `wanted`, and when `full`, which also
    drops the rows the CRM no longer has. The cursor is the CRM's own clock as of the start (`now`),
    so that neither a clock of ours nor a change during the pull can make it miss one. dlt stores
    it together with the rows: a pull that broke off is begun anew.

    Of two rows with one `key` the one with the greater `latest` stays. Where permission is
    missing, `denied` may give a table instead; nothing is remembered then.
    """

    def pull() -> Iterator[pa.Table]:
        state = dlt.current.resource_state()
        started = now()
        try:
            yield from read(_since(state, wanted, full=full))
        except AccessError as error:
            if denied is None:
                raise
            yield denied(error)
            return
        except RefusedError as error:
            # Refused records can be put aside; a refused question is wrong in itself.
            raise ConfigError(f"{name} cannot be read. {error}") from error
        state.update(cursor=started.isoformat(), fields=sorted(wanted))

    return dlt.resource(
        pull,
        name=name,
        write_disposition="replace" if full else "merge",
        primary_key=list(key),
        columns={latest: {"dedup_sort": "desc"}},
    )


def chosen(object: str, wanted: Collection[str], catalog: Catalog) -> list[Field]:
    """Look up the fields wanted.

    Raises: ConfigError where the account has no such object or field, or does not show it.
    """
    if object not in catalog:
        raise ConfigError(f"{object}: the account has no such object, or does not show it to us")
    if missing := sorted(set(wanted) - set(catalog[object])):
        raise ConfigError(
            f"{object}: the account has no field {', '.join(missing)}, or does not show it to us:"
            " correct the mapping, or permit the field to the user we log in as"
        )
    return [catalog[object][name] for name in dict.fromkeys(wanted)]


def _since(
    state: MutableMapping[str, Any], wanted: Collection[str], *, full: bool
) -> datetime | None:
    if full or "cursor" not in state or set(wanted) - set(state["fields"]):
        return None
    return datetime.fromisoformat(state["cursor"]) - OVERLAP
