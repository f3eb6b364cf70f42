"""The command `check`: are settings, YAML files and CRM fields right?"""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.output import out, print_note

app = typer.Typer()


@app.command("check")
def check_command(
    offline: Annotated[
        bool, typer.Option("--offline", help="Check the files only; do not call the CRMs.")
    ] = False,
) -> None:
    """Check the files in mappings/, the live CRM schemas, and the permissions to write."""
    from config.checks import catalog_warnings
    from config.loader import configuration_warnings, load_configuration
    from connectors import crm_names
    from session import connect_all, require_stage_fields, require_write_access
    from sync import require_settings

    configuration = load_configuration()
    if not offline:
        require_settings(configuration)
    sessions = [] if offline else connect_all(configuration)
    require_stage_fields(configuration, sessions)
    require_write_access(sessions)
    today = datetime.now(UTC).date()
    warnings = [
        *configuration_warnings(configuration),
        *(
            warning
            for session in sessions
            for warning in (
                *catalog_warnings(configuration, session.crm, session.catalog),
                *session.client.warnings,
                *session.client.support_warnings(today),
            )
        ),
    ]
    for warning in warnings:
        print_note(str(warning), style="yellow", label="Warning")
    out.print(f"Configuration OK (definition {configuration.definition.id})")
    for crm in crm_names():
        if crm not in configuration.mappings:
            out.print(f"{crm}: off (no file mappings/{crm}.yaml)")
    for session in sessions:
        missing = ", ".join(session.skipped_optional)
        suffix = f"; optional fields missing: {missing}" if missing else ""
        out.print(f"{session.account.name}: all mapped fields exist{suffix}")
