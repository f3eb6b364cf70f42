"""What the next pull would cost: `plan --extract`."""

from dataclasses import asdict
from functools import partial

from cli.output import out, print_json
from cli.render import extract as screen_pull
from config.loader import load
from session import log_in
from warehouse.warehouse import land


def show(*, full: bool, as_json: bool) -> None:
    """Print by which road each object would be read; only counts are asked for."""
    crms = log_in(load())
    found = {crm.crm: land(crm.crm, partial(crm.roads, full=full)) for crm in crms}
    if as_json:
        print_json({crm: [asdict(road) for road in roads] for crm, roads in found.items()})
    else:
        screen_pull.show_roads(found, out)
