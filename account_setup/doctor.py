"""Test the whole installation at once. Nothing is written: not to a CRM, not to the warehouse."""

from collections.abc import Iterator
from dataclasses import dataclass

from account_setup import installation_checks
from account_setup.crm_checks import CrmUnderTest, checks_of
from account_setup.examine import CheckResult, examine
from account_setup.installation_checks import Installation, general_setting_origins
from connectors import connector, crm_label
from settings import SettingOrigin, setting_origins


@dataclass(frozen=True)
class Diagnosis:
    """Every result of every check, and where each setting comes from."""

    results: list[CheckResult]
    settings: list[SettingOrigin]

    @property
    def faults(self) -> int:
        """Count what must be corrected before the first write."""
        return sum(result.status == "fault" for result in self.results)

    @property
    def warnings(self) -> int:
        """Count what an admin should look at."""
        return sum(result.status == "warning" for result in self.results)


def diagnose() -> Diagnosis:
    """Make all checks of the installation and of each CRM that has a mapping file."""
    installation = Installation()
    results = list(examine("onefunnel", installation_checks.CHECKS, installation))
    origins: list[SettingOrigin] = []
    for crm in installation.crms():
        results += _examine_crm(crm, installation)
        origins += setting_origins(connector(crm).settings(), "sources", crm)
    return Diagnosis(results, [*origins, *general_setting_origins()])


def _examine_crm(crm: str, installation: Installation) -> Iterator[CheckResult]:
    known_account = installation.known_accounts.get(crm)
    subject = CrmUnderTest(crm, installation.configuration, known_account)
    return examine(crm_label(crm), checks_of(subject), subject)
