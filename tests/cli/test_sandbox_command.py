"""The command `sandbox`: errors that stop it before it serves."""

import socket
from pathlib import Path

import pytest

from cli.sandbox import sandbox_command
from errors import ConfigError


def test_an_unreadable_file_of_faults_stops_the_command(tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "faults.json"
    path.write_text('[{"effect": "explode"}]')

    with pytest.raises(ConfigError, match=r"faults\.json is not a list of faults"):
        sandbox_command(faults=path)


def test_a_port_in_use_stops_the_command() -> None:
    """The message names the option for another port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(ConfigError, match=f"port {port} is in use.*--port"):
            sandbox_command(people=0, port=port)


def test_an_unknown_scenario_stops_the_command() -> None:
    """The message lists the scenarios."""
    with pytest.raises(ConfigError, match="unknown scenario wrong; there are "):
        sandbox_command(scenario="wrong")
