"""The cursors a list led through: one that comes again leads round in a circle, for ever."""

from errors import SyncError


class PaginationLoopGuard:
    """What was followed of one list so far."""

    def __init__(self, where: str) -> None:
        """Have followed nothing; `where` names the CRM and the list."""
        self._where = where
        self._seen_cursors: set[str] = set()

    def check(self, cursor: str) -> str:
        """Note a cursor, and give it back.

        Raises: SyncError where it was followed before: to read on helps nobody.
        """
        if cursor in self._seen_cursors:
            raise SyncError(f"{self._where} answers with the same page again and again")
        self._seen_cursors.add(cursor)
        return cursor
