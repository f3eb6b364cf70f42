"""Where a CRM's address and credentials come from: dlt's own configuration, in dlt's own order.

That is the environment, then `.dlt/secrets.toml` and `.dlt/config.toml`.
"""

from typing import Any

from dlt.common.configuration import resolve_configuration
from dlt.common.configuration.exceptions import ConfigurationException

from connectors import connector
from errors import ConfigError


def settings(crm: str) -> Any:
    """Read the settings of one CRM, as the `Settings` of its folder.

    Raises: ConfigError where a value cannot be read; the text never holds the value.
    """
    try:
        return resolve_configuration(connector(crm).Settings(), sections=("sources", crm))
    except ConfigurationException:
        # `from None`: dlt's text may quote what it read.
        raise ConfigError(
            f"the settings of {crm} cannot be read: check the TOML of .dlt/secrets.toml and"
            f" .dlt/config.toml, section sources.{crm}"
        ) from None


def setting(crm: str, name: str) -> str:
    """Name a setting as admins write it, for error texts."""
    return f"SOURCES__{crm.upper()}__{name.upper()} (in .dlt/secrets.toml: sources.{crm}.{name})"
