"""Show text as data, wherever people read it: terminal, log, HTML page, CSV.

A label or a value may hold what a stranger typed into a web form: markup, escape sequences that
steer a terminal, characters that cannot be seen or turn the writing direction, formulas. Nothing of
it is interpreted. What cannot be seen is shown as its code, such as `\\x1b` or `\\u202e`.
"""

import csv
import logging
import traceback
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""A spreadsheet takes a cell that begins with one of these for a formula (OWASP, CSV Injection)."""


def visible(text: str, *, keep: str = "") -> str:
    """Return text with its control, format and other invisible characters as codes.

    keep: characters that stay as they are, such as the line breaks of a message of several lines
    """
    if text.isprintable():
        return text
    return "".join(char if _is_visible(char) or char in keep else _code(char) for char in text)


def _is_visible(char: str) -> bool:
    # every kind of space is shown: a no-break space in a name is no attack
    return char.isprintable() or unicodedata.category(char) == "Zs"


def _code(char: str) -> str:
    return char.encode("unicode_escape").decode()


def visible_json(value: Any) -> Any:
    """Return a JSON document whose texts and names are visible."""
    match value:
        case str():
            return visible(value)
        case Mapping():
            return {visible(str(name)): visible_json(one) for name, one in value.items()}
        case Sequence():
            return [visible_json(one) for one in value]
    return value


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV for a spreadsheet: no cell is a formula, and each row is one line.

    Numbers stay numbers. A text that would be a formula gets an apostrophe in front.
    """
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([_csv_cell(cell) for cell in row] for row in (columns, *rows))
    return file.getvalue()


def _csv_cell(cell: object) -> object:
    if cell is None or isinstance(cell, int | float):
        return cell
    text = visible(str(cell))
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def styled(*parts: str | tuple[str, str], style: str = "", keep: str = "") -> Text:
    """Return text for the console; a part may have a style of its own. See `visible` for `keep`."""
    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((visible(text, keep=keep), own) for text, own in pairs), style=style)


class SafeConsole(Console):
    """A console without markup, emoji codes and highlighting, which shows what cannot be seen."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a text of a string: of a cell, a title, a line."""
        plain = {"markup": False, "emoji": False, "highlight": False}
        return super().render_str(visible(text), **options | plain)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render anything; a text that was not made by `styled` keeps its line breaks."""
        if isinstance(renderable, Text):
            renderable = _visible_copy(renderable)
        return super().render(renderable, options)


def _visible_copy(text: Text) -> Text:
    if visible(text.plain, keep="\n") == text.plain:
        return text
    copy = text.blank_copy()
    for char in text.divide(range(1, len(text))):
        shown = visible(char.plain, keep="\n")
        copy = copy.append_text(char) if shown == char.plain else copy.append(shown)
    return copy


class VisibleLogRecord(logging.LogRecord):
    """A log record of one line, and of a traceback, which keeps its lines; in every format."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[0]:
            lines = "".join(traceback.format_exception(*self.exc_info))
            self.exc_text = visible(lines.rstrip("\n"), keep="\n")

    def getMessage(self) -> str:
        """Fill in the arguments."""
        return visible(super().getMessage())
