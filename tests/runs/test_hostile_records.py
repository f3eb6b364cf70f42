"""What a stranger typed into a web form reaches every command, and steers none."""

from collections.abc import Iterator

import pytest

from cli.safe_text import visible
from run_helpers import configured_sandbox, run_cli
from sandbox.server import Sandbox

WORST = "[/bold][link=https://evil.example.com]a\x1b]0;title\x07\x1b[2J\u202eb\u200b\r\nc"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with configured_sandbox(tmp_path_factory.mktemp("hostile"), people=12) as served:
        for contact in served.hubspot.tables["contacts"].records.values():
            contact.properties |= {"bant_need": WORST, "jobtitle": WORST, "firstname": WORST}
        for lead in served.salesforce.tables["Lead"].values():
            lead |= {"Title": WORST, "FirstName": WORST}
        yield served


@pytest.mark.long
def test_every_command_shows_what_it_was_given(sandbox: Sandbox) -> None:
    """`explain` shows the value itself: with its codes, and without its effects."""
    planned = run_cli("--verbose", "run", "--dry-run")
    contact = next(sandbox.hubspot.tables["contacts"].live())

    shown = [
        run_cli(*command)
        for command in (
            ("explain", str(contact.id)),
            ("history", str(contact.id)),
            ("status",),
            ("recompute",),
        )
    ]

    assert [ended.exit_code for ended in (planned, *shown)] == [0] * 5
    text = "".join(ended.stdout + ended.stderr for ended in (planned, *shown))
    assert visible(text, keep="\n") == text
    assert visible(WORST)[:20] in shown[0].stdout
