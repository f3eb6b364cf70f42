"""The sandbox is a package of its own: it imports nothing of the product, and it can be installed.

Other repositories install it for their own tests.
"""

import ast
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from sandbox.__main__ import main

PACKAGE = Path(__file__).parents[1]
SOURCES = [
    path for path in sorted(PACKAGE.rglob("*.py")) if "tests" not in path.relative_to(PACKAGE).parts
]
NODE_AND_VENVS = (".venv", "node_modules")
PRODUCT = {path.stem for path in PACKAGE.parent.glob("*.py")}
PRODUCT |= {path.parent.name for path in PACKAGE.parent.glob("*/*.py")} - {PACKAGE.name}


def imported_packages(path: Path) -> Iterator[str]:
    """Return the first part of every module that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


@pytest.mark.parametrize("part", ["the package", "its tests"])
def test_the_sandbox_imports_nothing_of_the_product(part: str) -> None:
    """It can leave the repository at any time, and take its tests along."""
    tests = (
        path
        for path in sorted((PACKAGE / "tests").rglob("*.py"))
        if not set(NODE_AND_VENVS) & set(path.parts)
    )
    files = SOURCES if part == "the package" else tests
    found = {name for path in files for name in imported_packages(path)}

    assert len(PRODUCT) > 5
    assert found & PRODUCT == set()


def test_its_packaging_names_every_package_that_it_imports() -> None:
    """And pytest only as an extra: the server does not need it."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    required = {re.match(r"[\w-]+", text)[0] for text in project["dependencies"]}
    distributions = packages_distributions()
    imports = {name for path in SOURCES for name in imported_packages(path)}
    third_party = imports - set(sys.stdlib_module_names) - {"sandbox", "pytest"}

    needed = {distributions[name][0].lower().replace("_", "-") for name in third_party}
    assert needed <= required
    assert required <= needed | {"httptools"}


def test_the_command_imports_neither_the_product_nor_its_libraries() -> None:
    """It serves within seconds: dlt alone takes longer to import."""
    script = (
        "import sys; from sandbox.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True
    )

    assert "--scenario" in done.stdout
    assert set(done.stderr.split()) & (PRODUCT | {"dlt", "ibis", "duckdb", "pytest"}) == set()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scenario", "calm"], "invalid choice: 'calm'"),
        (["--faults", "missing.json"], "missing.json is not a list of faults"),
    ],
)
def test_a_wrong_option_stops_the_command(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is generated or served."""
    with pytest.raises(SystemExit) as stopped:
        main(options)

    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_port_in_use_stops_the_command(
    listening_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says which option to change."""
    with pytest.raises(SystemExit):
        main(["--people", "0", "--port", str(listening_port)])

    assert f"port {listening_port} is in use: choose another one" in capsys.readouterr().err


@pytest.fixture
def listening_port() -> Iterator[int]:
    """Return a port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it with its extra into a new environment, and give its `bin`."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    binaries = folder / "venv/bin"
    pip = [binaries / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    built = subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", folder, PACKAGE], capture_output=True, text=True
    )
    if built.returncode:
        pytest.skip(f"pip reaches no package index: {built.stderr.strip().splitlines()[-1]}")
    [wheel] = folder.glob("onefunnel_sandbox-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if "tests" in name] == []
    subprocess.run([*pip, "install", f"{wheel}[test]"], check=True)
    return binaries


@pytest.mark.install
def test_the_installed_command_serves_both_crms(installed: Path, tmp_path: Path) -> None:
    """From a wheel, in a new environment, outside the repository."""
    command = [installed / "onefunnel-sandbox", "--people", "20", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(6)]
        url = next(word for word in lines[0].split() if word.startswith("http"))
        token = lines[1].split()[-1]
        contacts = get(f"{url}/crm/v3/objects/contacts?limit=5", token)
        versions = get(f"{url}/services/data", token)
        process.terminate()

    assert len(contacts["results"]) == 5
    assert versions[-1]["version"]


def get(url: str, token: str) -> "dict[str, list[object]] | list[dict[str, str]]":
    """Call an endpoint and give its JSON; wait for the server to accept connections."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    for _ in range(100):
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)
        except urllib.error.URLError as error:
            refused = error
    raise refused


@pytest.mark.install
def test_the_installed_fixture_needs_no_configuration(installed: Path, tmp_path: Path) -> None:
    """pytest finds `crms` by the entry point of the distribution."""
    (tmp_path / "test_mine.py").write_text(
        "def test_a_sync_meets_a_fault(crms):\n"
        "    sandbox = crms(people=3)\n"
        "    assert sandbox.hubspot_token\n"
    )
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        [installed / "python", "-m", "pytest", "-q"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert "1 passed" in done.stdout, done.stdout
