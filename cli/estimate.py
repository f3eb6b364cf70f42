"""What the next pull would cost: `plan --estimate`."""

from dataclasses import asdict
from functools import partial

from cli.output import out, print_json
from cli.render import extract as screen_pull
from config.loader import load_configuration
from session import connect_all
from warehouse.warehouse import run_dlt


def print_estimate(*, full: bool, as_json: bool) -> None:
    """Print by which road each object would be read; only counts are asked for."""
    crms = connect_all(load_configuration())
    estimates = {
        crm.crm: run_dlt(crm.crm, partial(crm.estimate_extract, full=full)) for crm in crms
    }
    if as_json:
        print_json({crm: [asdict(road) for road in roads] for crm, roads in estimates.items()})
    else:
        screen_pull.show_estimates(estimates, out)
