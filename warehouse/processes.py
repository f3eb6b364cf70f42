"""Whether a process of this machine still runs."""

import os


def is_alive(process: int) -> bool:
    """Return whether a process runs; True where that cannot be found out."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
