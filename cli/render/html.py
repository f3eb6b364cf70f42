"""Write a backtest or a definition diff as one HTML page that needs no network.

The page holds figures only: no person, no address, no record.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.backtest import Backtest
from analysis.definition_diff import DefinitionDiff
from analysis.extras import require_extra
from cli.render.backtest import format_percent
from cli.render.run import format_count
from cli.safe_text import visible

if TYPE_CHECKING:
    from cli.render.charts import Section

TEMPLATE_FOLDER = Path(__file__).parent


def backtest_page(backtest: Backtest, path: Path) -> None:
    """Write a backtest as a page."""
    _require_report()
    from cli.render.backtest_charts import backtest_sections

    names = " and ".join(f"{side.name} ({side.definition_id})" for side in backtest.results)
    ends = backtest.month_ends
    span = f", {ends[0]:%Y-%m-%d} to {ends[-1]:%Y-%m-%d}" if ends else ""
    _write(
        path,
        title=f"How well does the definition predict {backtest.target_stage}?",
        text=f"{names} on the history{span}. Data as of {backtest.now:%Y-%m-%d}.",
        notes=backtest.notes,
        facts=[
            (format_count(backtest.people), "people, counted once per month-end snapshot"),
            (
                format_count(backtest.converted),
                f"of them became {backtest.target_stage} within {backtest.within_days:g} days",
            ),
            (format_count(backtest.buyers), "different people"),
            (format_count(len(ends)), "month ends"),
        ],
        parts=list(backtest_sections(backtest)),
        footer=(
            "Each snapshot uses only data from before its month end. Not counted: people who were "
            f"customers already, and month ends less than {backtest.within_days:g} days ago. "
            "Intervals: 95 % confidence, clustered by person. Lift is correlation, not causation."
        ),
    )


def difference_page(difference: DefinitionDiff, path: Path) -> None:
    """Write a definition diff as a page."""
    _require_report()
    from cli.render.definition_diff_charts import difference_sections

    _write(
        path,
        title=f"What {difference.theirs} would change",
        text=(
            f"{difference.ours} ({difference.ids[0]}) against {difference.theirs} "
            f"({difference.ids[1]}), with the data of {difference.as_of:%Y-%m-%d}. "
            "Nothing was written."
        ),
        notes=(),
        facts=[
            (format_count(difference.moved), f"people change stage, of {difference.people:,}"),
            (format_percent(difference.share), "of all people"),
            (
                " → ".join(f"{count:.0f}" for count in difference.follow_ups_per_week),
                "follow-ups a week",
            ),
            (
                format_count(sum(row["calls"] for row in difference.writes)),
                "estimated API calls to write it",
            ),
        ],
        parts=list(difference_sections(difference)),
        footer="Computed from the warehouse without API calls. The page has no personal data.",
    )


def _require_report() -> None:
    for module in ("altair", "vl_convert", "jinja2"):
        require_extra(module, "report")


def _write(path: Path, *, parts: list["Section"], **words: Any) -> None:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from vl_convert import javascript_bundle

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_FOLDER),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
    )
    page = environment.get_template("report.html")
    text = page.render(
        parts=parts, library=javascript_bundle("window.vegaEmbed = vegaEmbed;"), **words
    )
    path.write_text(text, encoding="utf-8")


def _visible(value: Any) -> Any:
    """Show what cannot be seen; scripts and charts, which are markup, stay as they are."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
