"""Which process has something, and whether it still runs."""

import os
import platform
from uuid import getnode

HOST_ID = f"{platform.node()}/{getnode():x}"


def has_ended(host: str, process: int) -> bool:
    """Whether a process ran on this machine and has ended; False where that is not known."""
    return host == HOST_ID and not _is_alive(process)


def _is_alive(process: int) -> bool:
    # the own process id: an earlier process had it, as in a container that was restarted
    if os.name != "posix" or process == os.getpid():
        return os.name != "posix"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
