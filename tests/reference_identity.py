"""Who is joined by e-mail, in plain Python: the rule of docs/people.md, "One person"."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations


@dataclass(frozen=True)
class IdentityRecord:
    """A record: its addresses, the group that links made, and its person in the last run."""

    key: str
    born: datetime
    linked: str
    addresses: frozenset[str] = frozenset()
    known_as: str | None = None


@dataclass
class Group:
    """Records that count as one."""

    records: list[IdentityRecord] = field(default_factory=list)

    @property
    def age(self) -> tuple[datetime, str]:
        """What is ordered by: the oldest first."""
        return min(one.born for one in self.records), min(one.key for one in self.records)

    def shares_address(self, other: "Group") -> bool:
        """Whether the two have an address in common."""
        return not self._addresses().isdisjoint(other._addresses())

    def was_with(self, other: "Group") -> bool:
        """Whether two records that were one person still have an address in common."""
        return any(
            a.known_as is not None and a.known_as == b.known_as and a.addresses & b.addresses
            for a in self.records
            for b in other.records
        )

    def _addresses(self) -> frozenset[str]:
        return frozenset().union(*(one.addresses for one in self.records))


def joined(records: Iterable[IdentityRecord], max_size: int) -> dict[str, tuple[str, bool]]:
    """Return per key the smallest key of its group, and whether e-mail matched it."""
    parts: dict[str, Group] = {}
    for one in records:
        parts.setdefault(one.linked, Group()).records.append(one)
    answer = {}
    for wide in _connected(list(parts.values()), Group.shares_address):
        size = sum(len(part.records) for part in wide)
        is_too_large = size > max_size and len(wide) > 1
        for group in _narrow(wide, max_size) if is_too_large else [wide]:
            keys = [one.key for part in group for one in part.records]
            is_matched = not is_too_large or len(group) > 1
            answer |= dict.fromkeys(keys, (min(keys), is_matched))
    return answer


def _narrow(wide: list[Group], max_size: int) -> list[list[Group]]:
    """Split a group that is too large: by who was one person, else by age."""
    if any(one.known_as is not None for part in wide for one in part.records):
        return _connected(wide, Group.was_with)
    oldest: list[Group] = []
    for part in sorted(wide, key=lambda part: part.age):
        if sum(len(one.records) for one in [*oldest, part]) > max_size:
            break
        oldest.append(part)
    others = [[part] for part in wide if part not in oldest]
    return [*_connected(oldest, Group.shares_address), *others]


def _connected(parts: list[Group], is_edge) -> list[list[Group]]:  # type: ignore[no-untyped-def]
    """The connected components."""
    groups = [[part] for part in parts]
    for a, b in combinations(parts, 2):
        if is_edge(a, b):
            of_a = next(group for group in groups if any(part is a for part in group))
            of_b = next(group for group in groups if any(part is b for part in group))
            if of_a is not of_b:
                of_a.extend(of_b)
                groups = [group for group in groups if group is not of_b]
    return groups
