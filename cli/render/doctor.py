"""Print what `doctor` found, and the fields that an account lacks; all of it fits 80 columns."""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from rich.console import Console, RenderableType
from rich.table import Table

from account_setup.doctor import Diagnosis
from account_setup.examine import CheckResult
from account_setup.fields import AccountFields, FieldState
from cli.render.run import make_table
from cli.safe_text import styled
from connectors import crm_label
from models import FieldChangeResult, FieldSpec, Rows
from settings import SettingOrigin

STYLES = {"ok": "green", "warning": "yellow", "fault": "red", "skipped": "dim"}

STATE_TEXTS = {
    "missing": "missing",
    "hidden": "exists; hidden from our login",
    "archived": "archived: it is restored",
    "unknown": "missing or hidden: our login may not look which",
    "exists": "exists",
    "other type": "exists, with another type: correct the mapping or the field",
    "read-only": "exists; our login may not edit it",
    "no object": "our login does not see this object",
}


def show_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print a table per part of the installation, the settings, and the number of faults."""
    for subject, results in groupby(diagnosis.results, key=attrgetter("subject")):
        console.print(_check_table(subject, list(results)))
    console.print(_setting_table(diagnosis.settings))
    console.print(f"{diagnosis.faults} faults, {diagnosis.warnings} warnings. Nothing was written.")


def _check_table(subject: str, results: Sequence[CheckResult]) -> Table:
    table = make_table(subject, "check", "result", "found, and what to do")
    table.columns[2].overflow = "fold"
    for result in results:
        status = styled(result.status, style=STYLES[result.status])
        table.add_row(styled(result.title), status, _finding(result))
    return table


def _finding(result: CheckResult) -> RenderableType:
    text = "\n".join(filter(None, (result.text, result.advice)))
    return styled(text, keep="\n")


def _setting_table(settings: Sequence[SettingOrigin]) -> Table:
    table = make_table("Settings", "setting", "comes from", "value")
    table.columns[0].no_wrap = True
    table.columns[1].overflow = table.columns[2].overflow = "fold"
    for one in settings:
        table.add_row(styled(one.name), styled(one.origin), styled(one.value or "not set"))
    return table


def show_fields(account: AccountFields, console: Console) -> None:
    """Print every field that a mapping writes, with type, options and state."""
    label = crm_label(account.crm)
    console.print(_field_table(f"{label}: fields that are written", account.states))
    if account.setup is None:
        console.print(
            styled(f"The connector of {label} cannot create fields: create them there by hand.")
        )
    elif account.select(()):
        package = " (or `--package DIR`)" if account.setup.write_package else ""
        console.print(
            styled(
                f"`python sync.py fields --create {account.crm}`{package} sets up what is missing."
            )
        )


def show_field_plan(account: AccountFields, chosen: list[FieldState], console: Console) -> None:
    """Print what would be created."""
    if not chosen:
        console.print(f"{crm_label(account.crm)} lacks no field of onefunnel.")
        return
    console.print(_field_table(f"{crm_label(account.crm)}: to set up", chosen))
    console.print(styled("Nothing was created. Add --yes to create it."))


def show_field_results(crm: str, results: Sequence[FieldChangeResult], console: Console) -> None:
    """Print what became of each field."""
    if not results:
        console.print(f"{crm_label(crm)} lacks no field of onefunnel.")
        return
    table = make_table(f"{crm_label(crm)}: set up", "field", "result", "details")
    table.columns[0].no_wrap = True
    for one in results:
        place, details = f"{one.object}.{one.field}", _details(one)
        table.add_row(styled(place), styled(one.status), styled(details))
    console.print(table)


def show_field_changes(crm: str, changes: Rows, console: Console) -> None:
    """Print what was set up in an account before, and when; nothing where it was nothing."""
    if not changes:
        return
    table = make_table(f"{crm_label(crm)}: set up so far", "UTC", "field", "result")
    table.columns[1].overflow = "fold"
    for row in changes:
        at, place = f"{row['at']:%Y-%m-%d %H:%M}", f"{row['object']}.{row['field']}"
        table.add_row(at, styled(place), styled(row["status"]))
    console.print(table)


def _details(result: FieldChangeResult) -> str:
    return result.text if result.status in ("refused", "options added") else ""


def _field_table(title: str, states: Sequence[FieldState]) -> Table:
    table = make_table(title, "field", "type, options", "state")
    table.columns[0].no_wrap = True
    for one in states:
        place = f"{one.spec.object}.{one.spec.name}"
        table.add_row(styled(place), styled(_type(one.type_label, one.spec)), styled(_state(one)))
    return table


def _type(type_label: str, spec: FieldSpec) -> str:
    words = ", ".join(option.value for option in spec.options or ())
    return f"{type_label}: {words}" if words else type_label


def _state(one: FieldState) -> str:
    if one.state == "no option":
        return f"lacks {', '.join(option.value for option in one.missing_options)}"
    return STATE_TEXTS[one.state]
