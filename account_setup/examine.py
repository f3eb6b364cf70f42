"""Make all checks of a table, and say for each what was found and what to do."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from connectors import Check, Subject
from errors import SyncError
from models import Finding, FindingStatus


@dataclass(frozen=True)
class CheckResult:
    """One finding of one check. `subject` is what was tested, such as HubSpot."""

    subject: str
    id: str
    title: str
    status: FindingStatus
    text: str
    advice: str


def examine(name: str, checks: Iterable[Check[Subject]], subject: Subject) -> Iterator[CheckResult]:
    """Make the checks in their order; skip those that need one that failed.

    A fault ends no other check: all of them are found at once.
    """
    failed: set[str] = set()
    for check in checks:
        findings = _findings(check, subject, failed)
        if any(finding.status == "fault" for finding in findings) or failed & set(check.needs):
            failed.add(check.id)
        for finding in findings:
            advice = finding.advice or check.advice if finding.status in _BAD else ""
            yield CheckResult(name, check.id, check.title, finding.status, finding.text, advice)


_BAD = ("fault", "warning")


def _findings(check: Check[Subject], subject: Subject, failed: set[str]) -> list[Finding]:
    if failed & set(check.needs):
        return [Finding("skipped", "cannot be tested after the fault above")]
    findings: list[Finding] = []
    try:
        findings.extend(check.run(subject))
    except SyncError as error:
        findings += [Finding("fault", line) for line in str(error).splitlines()]
    return findings or [Finding("ok")]
