"""Commands that compute from the warehouse: `explain`, `recompute`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.output import AsJson, AsOf, out, print_json, print_note

app = typer.Typer()

Person = Annotated[
    str,
    typer.Argument(metavar="PERSON", help="An e-mail address, a CRM record id or a person id."),
]


@app.command("explain")
def explain_command(person: Person, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Explain one person: stage, score, the reasons, and what the next stage needs."""
    from analysis.explain import explain
    from cli.render.explain import show_receipt
    from config.loader import load_configuration
    from warehouse.warehouse import open_warehouse

    if not person.strip():
        raise typer.BadParameter("it is empty", param_hint="PERSON")
    configuration = load_configuration()
    with open_warehouse(read_only=True) as warehouse:
        receipts = explain(warehouse, configuration, person, as_of=as_of)
    if as_json:
        print_json([receipt.as_json() for receipt in receipts])
    else:
        for receipt in receipts:
            show_receipt(receipt, out)


@app.command("recompute")
def recompute_command(
    definition: Annotated[
        Path | None,
        typer.Option(
            "--definition",
            metavar="FILE",
            help="Compute with this lifecycle.yaml. Default: mappings/lifecycle.yaml.",
        ),
    ] = None,
    as_of: AsOf = None,
    save: Annotated[
        bool,
        typer.Option(
            "--save",
            help="Replace the tables lifecycle and stage_history. Default: print only.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compute the lifecycle from the warehouse. Calls no CRM; stores nothing without --save."""
    from analysis.explain import unknown_counts
    from analysis.run_report import count_stages, stage_labels
    from cli.render.run import stage_table, unknown_fields_line
    from config.loader import load_configuration
    from transforms.lifecycle.lifecycle import lifecycle
    from warehouse.warehouse import open_warehouse

    configuration = load_configuration(definition_path=definition)
    if save:
        from warehouse.run_lock import open_for_decision

        opened = open_for_decision()
    else:
        opened = open_warehouse(read_only=True)
    with opened as warehouse:
        inputs = warehouse.inputs_as_of(configuration, as_of=as_of)
        tables = lifecycle(
            inputs.people,
            inputs.field_since,
            inputs.events,
            configuration.definition,
            as_of=as_of or datetime.now(UTC),
            materialize=warehouse.materialize,
        )
        if save:
            tables = warehouse.save_lifecycle(tables)
        stages = count_stages(tables.lifecycle)
        unknown = unknown_counts(inputs)
    if as_json:
        print_json({"stages": stages, "unknown": unknown, "saved": save})
        return
    out.print(stage_table(stage_labels(configuration.definition), [], stages))
    if unknown:
        out.print(unknown_fields_line(unknown))
    print_note(
        "Saved to the tables lifecycle and stage_history."
        if save
        else "Nothing was saved. Use --save to replace the tables lifecycle and stage_history."
    )
