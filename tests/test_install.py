"""README's steps from an empty checkout, with the oldest pip it names and with the newest.

The index has a newer release of every package: none of them may come in, or stop the installation.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.markers import Marker

from run_helpers import sandbox_environment
from sandbox.server import running
from test_closure import DEV, ENGINES, POSTGRES, REPORT, SANDBOX, USER, pins

pytestmark = pytest.mark.install

HERE = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(
    ".venv*", ".git", ".demo", "node_modules", "*.duckdb", "*.duckdb.wal", "secrets.toml"
)
OLDEST = "23.0.1"
"""What Debian 12 has; README names it."""

MEGABYTE = 1_000_000
MOST = 500 * MEGABYTE


@dataclass(frozen=True)
class Machine:
    """A checkout, the Python whose pip installs into it, and the environment of the commands."""

    checkout: Path
    python: Path
    environment: dict[str, str]

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.checkout,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pip(self, *words: str) -> "subprocess.CompletedProcess[str]":
        python = str(self.checkout / ".venv/bin/python")
        return self.run(str(self.python), "-m", "pip", "--python", python, *words)


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty newer release of every package that any lock file has."""
    folder = tmp_path_factory.mktemp("newer")
    for name, _, _ in pins(ENGINES):
        package = re.sub("[-.]", "_", name)
        about = f"{package}-9999.dist-info"
        with zipfile.ZipFile(folder / f"{package}-9999-py3-none-any.whl", "w") as wheel:
            wheel.writestr(
                f"{about}/METADATA",
                f"Metadata-Version: 2.1\nName: {name}\nVersion: 9999\n"
                "Provides-Extra: crypto\nProvides-Extra: toml\n",
            )
            wheel.writestr(
                f"{about}/WHEEL",
                "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            wheel.writestr(f"{about}/RECORD", "")
    return folder


@pytest.fixture(scope="module", params=[f"pip=={OLDEST}", "pip"], ids=["oldest pip", "newest pip"])
def machine(
    request: pytest.FixtureRequest, newer: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """A fresh checkout on a machine that has this pip."""
    folder = tmp_path_factory.mktemp("machine")
    subprocess.run([sys.executable, "-m", "venv", folder / "python"], check=True)
    python = folder / "python/bin/python"
    got = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--upgrade", request.param],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if got.returncode:
        pytest.skip(f"pip reaches no package index: {got.stdout.strip().splitlines()[-1]}")
    shutil.copytree(HERE, folder / "onefunnel", ignore=LEFT_OUT)
    own = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "MAKE", "COV", "DLT"))
    }
    own |= {
        "PYTHON": str(python),
        "PIP_FIND_LINKS": f"{own.get('PIP_FIND_LINKS', '')} {newer}".strip(),
        "PIP_NO_WARN_SCRIPT_LOCATION": "1",
    }
    return Machine(folder / "onefunnel", python, own)


@pytest.fixture(scope="module")
def planned(machine: Machine) -> str:
    """What README's steps of a dry run say, in the order in which they are written."""
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^## Plan on your own account.*?^```sh\n(.*?)^```$", readme, re.M | re.S)
    steps = [line for line in block.splitlines() if not line.startswith("export ")]
    with running(people=12, seed=5, rate_limits=False) as sandbox:
        told = Machine(
            machine.checkout,
            machine.python,
            machine.environment | sandbox_environment(sandbox, machine.checkout.parent),
        ).run("bash", "-euc", "\n".join(steps))
    assert told.returncode == 0, told.stdout
    return told.stdout


def installed(machine: Machine) -> set[tuple[str, str]]:
    """The packages in the .venv of a checkout."""
    (listed,) = re.findall(r"^\[.*\]$", machine.pip("list", "--format", "json").stdout, re.M)
    packages = json.loads(listed)
    return {(re.sub("[-_.]+", "-", one["name"]).lower(), one["version"]) for one in packages}


def wanted(lock: str) -> set[tuple[str, str]]:
    """What a lock file installs on this machine."""
    return {
        (name.replace(".", "-"), version)
        for name, version, where in pins(lock)
        if not where or Marker(where).evaluate()
    }


def test_the_steps_of_the_readme_end_in_a_plan(planned: str) -> None:
    """setup, doctor, fields, plan: with nothing installed but what `make setup` installs."""
    assert "\n0 faults" in planned
    assert "planned: nothing was written" in planned


@pytest.mark.usefixtures("planned")
def test_setup_installs_the_lock_file_and_nothing_else(machine: Machine) -> None:
    """No newer release comes in, and nothing that an installed package requires is missing."""
    checked = machine.pip("check")

    assert installed(machine) == wanted(USER)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.usefixtures("planned")
def test_the_run_of_a_user_is_small(machine: Machine) -> None:
    """Compiled modules count as well."""
    (packages,) = (machine.checkout / ".venv/lib").glob("python3*/site-packages")
    files = [path for path in packages.rglob("*") if path.is_file() and not path.is_symlink()]

    size = sum(path.stat().st_size for path in files)

    assert size < MOST, f"{size / MEGABYTE:.0f} MB"


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("lock", [REPORT, POSTGRES, SANDBOX, DEV])
def test_each_lock_file_installs_over_it(machine: Machine, lock: str) -> None:
    """As `make report`, `make postgres`, `make demo` and `make test` do."""
    stamp = lock.removeprefix("requirements-").removesuffix(".lock")

    made = machine.run("make", f".venv/.{stamp}")

    assert made.returncode == 0, made.stdout
    assert wanted(lock) <= installed(machine)
    assert not {name for name, version in installed(machine) if version == "9999"}
