"""Read settings by dlt's own configuration: the environment first, then the files in `.dlt/`.

The files are `.dlt/secrets.toml` and `.dlt/config.toml`.
"""

from typing import TypeVar

from dlt.common.configuration import resolve_configuration
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.specs import BaseConfiguration

from errors import ConfigError

S = TypeVar("S", bound=BaseConfiguration)


def read_settings(empty: S, *sections: str) -> S:
    """Fill an empty settings object from its section, such as `sources`, `hubspot`.

    Raises: ConfigError where a value cannot be read; the text never holds the value.
    """
    try:
        return resolve_configuration(empty, sections=sections)
    except ConfigurationException:
        # `from None`: dlt's text may quote what it read.
        raise ConfigError(
            f"the settings of {sections[-1]} cannot be read: check the environment variables"
            f" {'__'.join(sections).upper()}__... and the TOML of .dlt/secrets.toml and"
            f" .dlt/config.toml, section {'.'.join(sections)}"
        ) from None


def setting(crm: str, name: str) -> str:
    """Name a setting as admins write it, for error texts."""
    return f"SOURCES__{crm.upper()}__{name.upper()} (in .dlt/secrets.toml: sources.{crm}.{name})"
