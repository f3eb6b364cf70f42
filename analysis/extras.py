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
            f"this needs the extra onefunnel[{extra}]: run `make {extra}` in the checkout"
        ) from error
