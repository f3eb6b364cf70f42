"""What each lock file installs: a user's run installs little, and all files agree."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)(?: ; ([^\\\n]+?))? \\$", re.M)

USER, REPORT, POSTGRES, SANDBOX, DEV, ENGINES = (
    "requirements.lock",
    "requirements-report.lock",
    "requirements-postgres.lock",
    "requirements-sandbox.lock",
    "requirements-dev.lock",
    "requirements-engines.lock",
)
LOCKS = (USER, REPORT, POSTGRES, SANDBOX, DEV, ENGINES)

FOR_TESTS = ("pytest", "pytest-cov", "coverage", "hypothesis", "mypy", "ruff", "uv")
FOR_SANDBOX = ("lark", "lz4", "mimesis", "starlette", "uvicorn")
FOR_REPORT = ("altair", "jinja2", "numpy", "scipy", "vl-convert-python")
FOR_ENGINES = ("pandas", "psycopg", "psycopg2-binary", "pyspark", "sqlalchemy")


def pins(lock: str) -> set[tuple[str, str, str]]:
    """The packages of a lock file: name, version, and where it is installed (a marker)."""
    return set(PIN.findall((HERE / lock).read_text(encoding="utf-8")))


def names(lock: str) -> set[str]:
    """The names of the packages of a lock file."""
    return {name for name, _, _ in pins(lock)}


@pytest.mark.parametrize("package", FOR_TESTS + FOR_SANDBOX + FOR_REPORT + FOR_ENGINES)
def test_the_run_of_a_user_does_not_install(package: str) -> None:
    """Each serves one feature, the sandbox or the tests, and is an extra."""
    assert package not in names(USER)


@pytest.mark.parametrize(
    ("lock", "packages"),
    [
        (REPORT, FOR_REPORT),
        (POSTGRES, ("pandas", "psycopg", "psycopg2-binary", "sqlalchemy")),
        (SANDBOX, FOR_SANDBOX + FOR_REPORT),
        (DEV, FOR_TESTS + FOR_SANDBOX + FOR_REPORT),
        (ENGINES, FOR_TESTS + FOR_SANDBOX + FOR_REPORT + FOR_ENGINES),
    ],
)
def test_a_lock_has_what_its_purpose_needs(lock: str, packages: tuple[str, ...]) -> None:
    """`make report`, `make postgres`, `make demo`, `make test` and `make test-engines`."""
    assert set(packages) <= names(lock)


@pytest.mark.parametrize("lock", [REPORT, POSTGRES, SANDBOX, DEV])
def test_a_lock_is_complete(lock: str) -> None:
    """It has what a user's run installs: pip installs it alone, without looking for more."""
    assert names(lock) >= names(USER)


@pytest.mark.parametrize("lock", [USER, REPORT, POSTGRES, SANDBOX, DEV])
def test_all_locks_agree_on_every_version(lock: str) -> None:
    """They are installed into one environment, one after the other."""
    assert {pin[:2] for pin in pins(lock)} <= {pin[:2] for pin in pins(ENGINES)}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_package_and_names_no_index(lock: str) -> None:
    """The user chooses the package index."""
    lines = (HERE / lock).read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if line and not line.startswith(("#", "    --hash="))]

    assert len(packages) == len(pins(lock))
    assert not [line for line in packages if "://" in line or line.startswith("-")]
