"""Which process has something, and whether it still runs."""

import os
import platform
from uuid import getnode

HOST_ID = f"{platform.node()}/{getnode():x}"
"""This machine: its name and the address of its network card."""


def has_ended(host: str, process: int) -> bool:
    """Whether a process ran on this machine and has ended; False where that is not known."""
    # the own process id: an earlier process had it, as in a container that was restarted
    return host == HOST_ID and (process == os.getpid() or not is_alive(process))


def is_alive(process: int) -> bool:
    """Return whether a process of this machine runs; True where that cannot be found out."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
