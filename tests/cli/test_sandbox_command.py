"""The command `sandbox`: what stops it before anything is served."""

import socket
from pathlib import Path

import pytest

from cli.sandbox import sandbox_command
from errors import ConfigError


def test_a_file_of_faults_that_cannot_be_read_stops_the_command(tmp_path: Path) -> None:
    """Before anything is served."""
    path = tmp_path / "faults.json"
    path.write_text('[{"effect": "explode"}]')

    with pytest.raises(ConfigError, match="no list of faults"):
        sandbox_command(faults=path)


def test_a_port_that_is_taken_stops_the_command() -> None:
    """And another can be named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError, match=f"port {port} is taken"):
            sandbox_command(people=0, port=port)
