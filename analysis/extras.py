"""Optional packages: import them when a function needs them, or say how to install them."""

from importlib import import_module

from errors import ConfigError


def require_extra(module: str, extra: str) -> None:
    """Import a module of an optional extra.

    Raises: ConfigError where it is not installed, with the command that installs it.
    """
    try:
        import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"this needs the extra `{extra}`: pip install 'onefunnel[{extra}]' "
            f"(in a checkout: make setup EXTRAS={extra})"
        ) from error
