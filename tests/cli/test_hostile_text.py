"""Text of a CRM, of a file or of an argument is data: on no screen is any of it interpreted."""

import csv
import io
import json
import logging
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.text import Text  # noqa: TID251

from account_setup.doctor import Diagnosis
from account_setup.examine import CheckResult
from account_setup.fields import AccountFields, FieldState
from analysis.backtest import Backtest, DefinitionResult, SignalStats
from analysis.definition_diff import DefinitionDiff
from analysis.explain import Receipt
from analysis.run_report import Report
from analysis.suggest_points import HoldoutMetrics, ParameterChange, Suggestion
from cli import output
from cli.output import handle_errors, print_json, print_note
from cli.render.backtest import show_backtest
from cli.render.changes import show_history, show_plan
from cli.render.definition_diff import show_difference
from cli.render.doctor import (
    show_diagnosis,
    show_field_changes,
    show_field_results,
    show_fields,
)
from cli.render.explain import show_receipt
from cli.render.extract import row_check_table, show_estimates
from cli.render.html import backtest_page, difference_page
from cli.render.progress import progress_bars
from cli.render.run import show_report, unknown_fields_line
from cli.render.status import show_absences, show_status
from cli.render.suggest_points import show_suggestion
from cli.safe_text import (
    SafeConsole,
    VisibleLogRecord,
    csv_text,
    styled,
    visible,
)
from errors import ConfigError, SyncError
from models import ExtractEstimate, FieldChangeResult, FieldOption, FieldSpec
from run_helpers import run_cli
from settings import SettingOrigin
from warehouse.runs import Run
from warehouse.status import Status
from writeback.guard import FieldCount, GuardResult

AT = datetime(2026, 3, 1, 4, 5, tzinfo=UTC)
PIECES = (
    *("[red]", "[/]", "[/bold]", "[link=https://evil.example.com]", "[", "]", "\\[", ":smile:"),
    *("\x1b]0;title\x07", "\x1b[2J", "\x1b]8;;https://evil.example.com\x1b\\", "\x9b31m", "\x9d"),
    *("\x00", "\x08", "\x0b", "\r", "\n", "\t", "\x7f", "\x85", "\xa0", "\xad"),
    *("\u200b", "\u200d", "\u202e", "\u2066", "\u2069", "\ufeff", "\u2028", "\u2029", "\U000e0041"),
    *("\ud800", "<script>alert(1)</script>", "</script>", "<!--", "{{ x }}", "{% raw %}", "&amp;"),
    *("=1+1", "@SUM(A1)", "a", "Zoë", "山田", "%s", "{0}"),
)
hostile_texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), min_size=1, max_size=4).map(
    "".join
)
WORST = "a[/bold]\x1b[2J\u202e\r\n\x07b"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def fill(cls: Callable[..., Any], text: str, **values: Any) -> Any:
    """Make a dataclass with the text in each text that is not given, and a 3 in each number."""
    blanks: dict[Any, Any] = {str: text, int: 3, float: 3.0}
    given = {one.name: blanks[one.type] for one in fields(cls) if one.type in blanks}
    return cls(**given | values)


def run_of(text: str) -> Run:
    return Run(text, AT, text, AT, "done", {"quota": quota()}, {"hubspot": {text: 3}})


def quota() -> dict[str, Any]:
    budget = {"needed": 3, "remaining": 3, "reserve": 1, "records": 5, "max_records": 2}
    return {"hubspot": budget, "salesforce": budget | {"remaining": None}}


def report_of(text: str) -> Report:
    place = {"crm": "hubspot", "object": text, "field": text, "records": 3}
    counts = dict.fromkeys(("without_rule", "without_date", "without_person", "set", "cleared"), 3)
    change = {"before": text, "after": text, "why": text}
    return Report(
        run_of(text),
        {"lead": text},
        people=3,
        stages=[{"stage": "lead", "status": "recycled", "people": 3}],
        crm_stages=[{"crm": "hubspot", "stage": "lead", "people": 3}],
        stage_changes=[place | change] * 13,
        field_changes=[place | counts],
        withheld=[place | {"hold_reason": text}],
        records=[{"crm": "hubspot", "status": text, "reason": text, "records": 3}],
        unmatched_rows=[place | {"source_object": text} | counts],
        unknown_names=[
            place | {"source_object": text, "name": text, "kind": "form_submitted", "rows": 3}
        ],
        guard=[fill(GuardResult, text, crm="hubspot", overwritten=(fill(FieldCount, text),))],
        warnings=[text],
    )


def status_of(text: str) -> Status:
    run = dict.fromkeys(("run_id", "command", "status", "error_class", "error"), text) | {
        **{"started_at": AT.isoformat(), "ended_at": AT.isoformat(), "seconds": 3.0},
        **{"exit_code": 1, "records": {"written": 3}, "calls": 3},
    }
    issue = dict.fromkeys(
        ("object", "field", "status", "reason", "word", "error_code", "fix"), text
    )
    refused = issue | {"crm": "hubspot", "records": 3, "reason": "refused"}
    return Status(run, [run], [run], [issue | {"crm": "hubspot", "records": 1}, refused], quota())


def change_rows(text: str) -> list[dict[str, Any]]:
    names = ("run_id", "object", "record_id", "field", "before", "after", "error_code", "status")
    return [dict.fromkeys((*names, "reason"), text) | {"crm": "hubspot", "at": AT}]


def planned_rows(text: str) -> list[dict[str, Any]]:
    refusal = dict.fromkeys(("move", "outcome_reason", "error", "crm_message"), text)
    return [row | refusal | {"outcome": "quarantined"} for row in change_rows(text)]


def receipt_of(text: str) -> Receipt:
    record = {"crm": "hubspot", "object": text, "record_id": text, "read_only": True}
    event = record | {"kind": text, "at": AT, "points": 3, "left": 2.0}
    lifecycle = {
        **{"stage_since": AT, "as_of": AT, "follow_up_due": AT, "touches": 3, "contactable": False},
        **{"status": text, "next_action": text, "score": 3.0, "grade": text},
    }
    return fill(
        Receipt,
        text,
        lifecycle=lifecycle,
        records=[record],
        reasons=[{"text": text, "at": AT, "events": [event]}],
        disqualified=[{"text": text, "at": AT}],
        contributions=[event],
        fit=[{"text": text, "rule": text, "points": 3, "left": 3.0}],
        criteria=[{"name": text, "rule": text, "met": False, "since": None, "now": text}],
        history=[{"stage": text, "entered_at": AT}],
        unknown=[text],
    )


def backtest_of(text: str) -> Backtest:
    mark = SignalStats(text, 40, 20, 40, 10, 20, 20, 0.1)
    stage = SignalStats("lead", 40, 20, 40, 10, 20, 20, 0.1)
    conversion = {"people": 3, "went_on": 2, "median_days": 3.0, "recent": 1}
    side = DefinitionResult(
        text,
        text,
        {"lead": text, "mql": text},
        [{"month": AT, "stage": "lead", "people": 3}],
        [conversion | {"stage": "lead", "next": "mql"}],
        [{"stage": "lead", "people": 3, "became": 1}],
        (stage,),
        (mark,),
        (mark,),
        [{"points": points, "people": 80, "became": 30} for points in range(4)],
    )
    return Backtest(AT, 90.0, (AT, AT), text, 80, 30, 20, {text: 3}, (side, side), (text,))


def difference_of(text: str) -> DefinitionDiff:
    move = {"stage": "lead", "status": text, "stage_to": "lead", "status_to": "recycled"}
    person = move | {"person_id": text, "reasons": text, "reasons_to": text, "records": [text]}
    counts = {"before": 3, "after": 2, "due": 1, "due_to": 1}
    writes = {"crm": "hubspot", "object": text, "records": 3, "differing": 2, "calls": 1}
    return DefinitionDiff(
        text,
        text,
        (text, text),
        {"lead": text},
        AT,
        people=3,
        moved=2,
        flows=[move | {"people": 2}],
        sample=[person],
        follow_ups=[counts | {"stage": "lead"}],
        actions=[counts | {"next_action": text}],
        writes=[writes | {"fields": {text: 3}}],
    )


def suggestion_of(text: str) -> Suggestion:
    metrics = HoldoutMetrics(0.5, 0.5, 0.5)
    change = ParameterChange(text, ("scoring",), 1.0, 2.0)
    diff = f"--- a\n+++ b\n-{text}\n+{text}"
    return Suggestion(
        text, (AT,), (AT,), (3, 2), 3, metrics, metrics, (change,), diff=diff, note=text
    )


def fields_of(text: str) -> list[FieldState]:
    option = FieldOption(text, text)
    spec = FieldSpec(text, text, text, "text", (option,))
    return [FieldState(spec, text, state, (option,)) for state in ("missing", "no option")]


def diagnosis_of(text: str) -> Diagnosis:
    results = [fill(CheckResult, text, status=status) for status in ("ok", "fault")]
    return Diagnosis(results, [SettingOrigin(text, text, text)])


def show_progress(text: str, console: SafeConsole) -> None:
    with progress_bars(console) as bars:
        bars.extract_callback("hubspot", lambda: None)(text, 3, 9)
        bars.write_callback(text, 9)(3)


SCREENS: dict[str, Callable[[str, SafeConsole], None]] = {
    "a run": lambda text, to: show_report(report_of(text), to),
    "status": lambda text, to: show_status(status_of(text), to),
    "history": lambda text, to: show_history(change_rows(text), to),
    "show": lambda text, to: show_plan(run_of(text), planned_rows(text), 3, to),
    "absent": lambda text, to: show_absences(
        [dict.fromkeys(("object", "evidence"), text) | {"crm": "hubspot", "records": 3} | SINCE], to
    ),
    "explain": lambda text, to: show_receipt(receipt_of(text), to),
    "recompute": lambda text, to: to.print(unknown_fields_line({text: 3})),
    "backtest": lambda text, to: show_backtest(backtest_of(text), to),
    "diff": lambda text, to: show_difference(difference_of(text), to),
    "suggest": lambda text, to: show_suggestion(suggestion_of(text), to),
    "estimate": lambda text, to: show_estimates(
        {"hubspot": [fill(ExtractEstimate, text, records=3)]}, to
    ),
    "row checks": lambda text, to: to.print(row_check_table([CHECK | {"object": text}])),
    "doctor": lambda text, to: show_diagnosis(diagnosis_of(text), to),
    "fields": lambda text, to: show_fields(
        AccountFields("hubspot", None, None, fields_of(text)), to
    ),
    "fields set up": lambda text, to: show_field_results(
        "hubspot", [FieldChangeResult(text, text, "refused", text)], to
    ),
    "fields set up so far": lambda text, to: show_field_changes(
        "hubspot", [{"at": AT, "object": text, "field": text, "status": text}], to
    ),
    "a line": lambda text, to: to.print(text),
    "a text": lambda text, to: to.print(Text(text, style="bold")),
    "parts": lambda text, to: to.print(styled(text, (text, "bold"), style="red")),
}
SINCE = {"absent_since": AT}
CHECK = {"crm": "hubspot", "records": 3, "missing": 3, "absent": 3, "reassociated": 3} | {
    "complete_at": AT,
    "deleted": 3,
}


def printed(show: Callable[[SafeConsole], None], *, width: int, is_terminal: bool) -> str:
    file = io.StringIO()
    colours = "standard" if is_terminal else None
    show(SafeConsole(file=file, width=width, force_terminal=is_terminal, color_system=colours))
    return file.getvalue()


def steering(text: str) -> list[str]:
    """What is left in an output that is neither text nor a space nor a colour nor a new line."""
    return [char for char in COLOUR.sub("", text) if visible(char, keep="\n") != char]


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
@settings(max_examples=10, deadline=None)
@example(WORST)
@given(hostile_texts)
def test_a_screen_shows_text_as_it_is(
    screen: Callable[[str, SafeConsole], None], text: str
) -> None:
    """On a terminal and in a file, narrow and wide; where it is wide, all of it is there."""
    outputs = [
        printed(lambda to: screen(text, to), width=width, is_terminal=is_terminal)
        for width in (40, 5_000)
        for is_terminal in (True, False)
    ]

    assert [steering(output) for output in outputs] == [[]] * 4
    kept = "\n\t" if screen is SCREENS["suggest"] else ""
    if screen is not SCREENS["a text"]:  # rich takes some characters away when it is made
        shown = visible(text, keep=kept).split()
        assert all(word in outputs[-1] for word in shown)


@settings(max_examples=20, deadline=None)
@example(WORST)
@given(hostile_texts)
def test_a_progress_bar_shows_text_as_it_is(text: str) -> None:
    """Besides the sequences that move the cursor, which Rich sends itself."""
    harmless = printed(lambda to: show_progress("x", to), width=200, is_terminal=True)
    shown = printed(lambda to: show_progress(text, to), width=200, is_terminal=True)

    assert sorted(set(steering(shown))) == sorted(set(steering(harmless)))
    assert "evil" not in "".join(re.findall(r"\x1b\]8;[^\x1b]*", shown))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(WORST)
@given(hostile_texts)
@pytest.mark.parametrize("error", [ConfigError, SyncError, OSError])
def test_an_error_shows_text_as_it_is(
    capsys: pytest.CaptureFixture[str], error: type[Exception], text: str
) -> None:
    """Brackets in a message do not end the handler."""
    with pytest.raises(SystemExit), handle_errors():
        raise error(text)
    print_note(text, label=text)

    stderr = capsys.readouterr().err
    assert steering(stderr) == []
    assert error is OSError or all(word in stderr for word in visible(text, keep="\n").split())


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(WORST)
@given(hostile_texts)
def test_a_traceback_shows_text_as_it_is(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """It is printed where the environment asks for it."""
    monkeypatch.setenv(output.TRACEBACK, "1")
    file = io.StringIO()
    monkeypatch.setattr(output, "err", SafeConsole(file=file, width=5_000))

    with pytest.raises(SystemExit), handle_errors():
        raise OSError(text)

    assert steering(file.getvalue()) == []
    assert "Traceback" in file.getvalue()


@settings(max_examples=20, deadline=None)
@example(WORST)
@example("--as-of")
@given(hostile_texts.filter(lambda text: "\x00" not in text))
@pytest.mark.parametrize(
    "command", [[], ["explain", "x", "--as-of"], ["backtest", "--months"], ["status", "--"]]
)
def test_a_usage_error_shows_arguments_as_they_are(command: list[str], text: str) -> None:
    """Typer's own message ends with an error of its own at `[/b]`."""
    ended = run_cli(*command, f"[/b]{text}")

    assert ended.exit_code == 2
    assert "Usage error: " in ended.stderr
    assert steering(ended.stderr) == []


@settings(max_examples=100, deadline=None)
@example(WORST)
@given(hostile_texts)
def test_a_log_line_is_one_line(text: str) -> None:
    """Also of a library that has its own handler; a traceback keeps its lines."""
    try:
        raise OSError(text)
    except OSError:
        cause = sys.exc_info()
    line = VisibleLogRecord("x", logging.INFO, "f.py", 1, "object=%s", (text,), None)
    failure = VisibleLogRecord("x", logging.INFO, "f.py", 1, text, (), cause)

    formatter = logging.Formatter("%(message)s")
    assert formatter.format(line) == f"object={visible(text)}"
    assert steering(formatter.format(failure)) == []


def test_every_logger_of_the_process_is_meant(tmp_path: Path) -> None:
    """Those of libraries too."""
    code = (
        "import logging, sys; from cli.main import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "own = logging.getLogger('library'); own.propagate = False\n"
        "own.addHandler(logging.StreamHandler()); own.error('a\\x1b[2J\\nb')\n"
        "logging.getLogger('onefunnel').warning('c\\u202e %s', '[/d]\\r')\n"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    first, second = ended.stderr.splitlines()
    assert first == r"a\x1b[2J\nb"
    assert second.endswith(r" c\u202e [/d]\r")


class _Page(HTMLParser):
    """The tags and the text of a page before its scripts, and the texts of its charts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.scripts = page.count("<script")
        charts = re.findall(r'^ *"chart\d+": (.*),$', page, re.MULTILINE)
        self.charts = [json.dumps(json.loads(one), ensure_ascii=False) for one in charts]
        self.feed(page.partition("<script>")[0])

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "write",
    [
        lambda text, path: backtest_page(backtest_of(text), path),
        lambda text, path: difference_page(difference_of(text), path),
    ],
    ids=["backtest", "diff"],
)
@pytest.mark.long
def test_a_page_shows_text_as_it_is(tmp_path: Path, write: Callable[[str, Path], None]) -> None:
    """It has the tags of a page about harmless text, and its charts have the text as data."""
    pytest.importorskip("altair")
    text, path = "".join(PIECES), tmp_path / "page.html"
    write("x", path)
    harmless = _Page(path.read_text(encoding="utf-8"))

    write(text, path)

    page = _Page(path.read_text(encoding="utf-8"))
    assert (page.tags, page.scripts) == (harmless.tags, harmless.scripts)
    assert visible(text) in page.text
    assert steering(page.text) == []
    assert len(page.charts) == len(harmless.charts) > 0
    assert steering("".join(page.charts)) == []


@settings(max_examples=200, deadline=None)
@example("=1+1")
@example(" \t=1+1")
@example("＝1+1")
@given(hostile_texts)
def test_csv_has_no_formula_and_a_line_per_row(text: str) -> None:
    """Numbers are numbers, also below zero."""
    made = csv_text((text, "n"), [(text, -3), (None, -0.5)])

    rows = list(csv.reader(io.StringIO(made)))
    assert steering(made) == []
    assert made.count("\n") == 3
    assert [row[1] for row in rows] == ["n", "-3", "-0.5"]
    assert not rows[0][0].lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert rows[1][0].removeprefix("'") == visible(text)


@settings(max_examples=100, deadline=None)
@given(hostile_texts)
def test_json_is_plain_ascii(text: str) -> None:
    """Its codes are those of JSON."""
    file = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        print_json({text: text})

    assert steering(file.getvalue()) == []
    assert file.getvalue().isascii()
    assert json.loads(file.getvalue()) == {text: text}


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=20))
def test_visible_text_stays_visible(text: str) -> None:
    """Letters of every alphabet and spaces are no codes; to show a text twice changes nothing."""
    shown = visible(text)

    assert visible(shown) == shown
    assert (shown == text) is all(
        char.isprintable() or unicodedata.category(char) == "Zs" for char in text
    )
