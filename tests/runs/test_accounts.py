"""A warehouse belongs to one account of each CRM: another is refused before anything is read."""

from collections.abc import Callable, Iterator

import pytest

from errors import AccountError
from run_helpers import configured_sandbox, run_cli, run_sync, table_rows
from sandbox.faults import Fault
from sandbox.server import Sandbox
from warehouse.warehouse import open_warehouse

OTHER_PORTAL = Fault(path="/account-info", status=200, body={"portalId": 7}, times=None)


def swap_portal(sandbox: Sandbox) -> None:
    sandbox.faults.plan(OTHER_PORTAL)


def swap_org(sandbox: Sandbox) -> None:
    orgs = sandbox.salesforce.tables["Organization"]
    (row,) = orgs.values()
    del orgs[row["Id"]]
    sandbox.salesforce.put("Organization", row | {"Id": "00D000000000007EAA"})


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with configured_sandbox(tmp_path_factory.mktemp("accounts"), people=20) as sandbox:
        run_sync(write=False)
        yield sandbox


@pytest.mark.long
@pytest.mark.parametrize(("crm", "swap"), [("hubspot", swap_portal), ("salesforce", swap_org)])
def test_another_account_is_refused_before_anything_is_read(
    sandbox: Sandbox, crm: str, swap: Callable[[Sandbox], None]
) -> None:
    """The token of a colleague, or of the CRM's own sandbox."""
    before = sandbox.faults.calls()[crm]
    swap(sandbox)

    with pytest.raises(AccountError, match="Nothing was read or written"):
        run_sync(write=False)

    made = sandbox.faults.calls()[crm].keys() - before.keys()
    assert not any("objects" in call or "/queryAll" in call for call in made)


@pytest.mark.long
def test_adopt_starts_over_with_the_other_account(sandbox: Sandbox) -> None:
    """Rows, cursors, versions and journal of the account before are deleted, of that CRM alone."""
    contacts = sandbox.hubspot.tables["contacts"]
    for contact in list(contacts.live())[3:]:
        sandbox.hubspot.erase(contacts, contact)
    salesforce = versions_of("salesforce")

    assert run_cli("plan").exit_code == 2
    assert run_cli("plan", "--adopt").exit_code == 0

    assert len(versions_of("hubspot")) < 10
    assert versions_of("salesforce") == salesforce
    with open_warehouse() as warehouse:
        landed = warehouse.source_tables("hubspot", ["contacts"])["contacts"]
        assert landed.filter(~landed.archived).count().to_pyarrow().as_py() == 3
    accounts = {row["crm"]: row["account_id"] for row in table_rows("crm_accounts")}
    assert accounts["hubspot"] == "7"


def versions_of(crm: str) -> list[str]:
    return sorted(row["key"] for row in table_rows("record_history") if row["crm"] == crm)
