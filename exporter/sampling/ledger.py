"""The keys of a window and their running sums: a stratum is added when it closes and subtracted when it leaves (pure).

In: strata. Out: for each key the sums that an interval needs, and rankings. A key costs about 200 bytes while any stratum
of the window holds it, an entry of a stratum 12; sums are exact, so they return to zero when everything has left.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING

from exporter.sampling.stratum import STEPS, VARIANCE_GRAIN, largest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.sampling.stratum import DbKey, Stratum

_WIDE = 2**50  # a fourth moment that 600 of them could not sum up to 64 bits is kept aside
_UNNAMED = -1


@dataclass(frozen=True, slots=True)
class Sums:
    """What the window holds of one key; amounts are accesses, `variance` includes alone * amount^2 of lone pieces.

    `lone`: sum of alone * extent * amount over strata of one piece. `covered`: sum of the floors of its strata.
    """

    amount: float
    variance: float
    fourth: float
    poisson: float
    lone: float
    writes: float
    covered: float
    strata: int


class Ledger:
    """Running sums by slot. A slot belongs to one (db, key) as long as a stratum of the window has an entry for it."""

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._slots: dict[int, dict[bytes, int]] = {}
        self._free: list[int] = []
        self._keys: list[bytes | None] = []
        self._dbs = array("I")
        self._amounts = array("d")
        self._variances = array("d")
        self._poisson = array("d")
        self._lone = array("d")
        self._writes = array("d")
        self._covered = array("d")
        self._columns = (self._amounts, self._variances, self._poisson, self._lone, self._writes, self._covered)
        self._fourths = array("q")
        self._wide: dict[int, int] = {}
        self._strata = array("H")
        self._groups = array("i")
        self._group_numbers: dict[tuple[int, str], int] = {}
        self._name_of: Callable[[bytes], str] | None = None

    def __len__(self) -> int:
        return len(self._keys) - len(self._free)

    def key(self, slot: int) -> DbKey:
        """Return the (db, key) of a slot in use."""
        key = self._keys[slot]
        assert key is not None
        return self._dbs[slot], key

    def sums(self, slot: int) -> Sums:
        """Return what the window holds of one key."""
        return Sums(
            amount=self._amounts[slot],
            variance=self._variances[slot],
            fourth=(self._fourths[slot] + self._wide.get(slot, 0)) / (STEPS * VARIANCE_GRAIN),
            poisson=self._poisson[slot],
            lone=self._lone[slot],
            writes=self._writes[slot] / STEPS,
            covered=self._covered[slot],
            strata=self._strata[slot],
        )

    def enter(self, stratum: Stratum, keys: list[DbKey], max_keys: int) -> None:
        """Add a stratum; its largest `max_keys` entries are kept, and of new keys the largest that there is room for."""
        rows: Sequence[int] = range(len(keys))
        if len(rows) > max_keys:
            rows = largest(stratum.amounts, rows, max_keys)
        new = [row for row in rows if keys[row][1] not in self._slots.get(keys[row][0], ())]
        room = self._max_keys - len(self)
        if len(new) > room:
            rows = sorted({*rows} - {*new} | {*largest(stratum.amounts, new, room)})
        if len(rows) < len(keys):
            stratum.keep(rows)
        slots = [self._slot(*keys[row]) for row in rows]
        stratum.slots = array("H" if len(self._keys) <= 65536 else "I", slots)
        self._apply(stratum, 1)

    def leave(self, stratum: Stratum) -> None:
        """Subtract a stratum that was entered, and forget the keys that no other stratum holds."""
        self._apply(stratum, -1)
        strata = self._strata
        for slot in stratum.slots:
            if not strata[slot]:
                self._release(slot)

    def _slot(self, db: int, key: bytes) -> int:
        slots = self._slots.setdefault(db, {})
        slot = slots.get(key)
        if slot is None:
            slot = slots[key] = self._free.pop() if self._free else self._grow()
            self._keys[slot], self._dbs[slot], self._groups[slot] = key, db, _UNNAMED
        return slot

    def _grow(self) -> int:
        self._keys.append(None)
        for column in self._columns:
            column.append(0.0)
        for counts in (self._dbs, self._fourths, self._strata, self._groups):
            counts.append(0)
        return len(self._keys) - 1

    def _release(self, slot: int) -> None:
        key = self._keys[slot]
        if key is not None:
            slots = self._slots[self._dbs[slot]]
            del slots[key]
            if not slots:
                del self._slots[self._dbs[slot]]
            self._keys[slot] = None
            self._free.append(slot)
            for column in self._columns:
                column[slot] = 0.0  # sums beyond 2^43 may leave a last bit behind

    def _apply(self, stratum: Stratum, sign: int) -> None:
        """Add (sign 1) or subtract (sign -1) every entry of a stratum."""
        amounts, writes, strata = self._amounts, self._writes, self._strata
        if stratum.exact:
            for slot, amount, written in zip(stratum.slots, stratum.amounts, stratum.writes, strict=True):
                amounts[slot] += sign * amount
                writes[slot] += sign * STEPS * written
                strata[slot] += sign
        else:
            self._apply_sample(stratum, sign)
        if stratum.floor:
            for slot in stratum.slots:
                self._covered[slot] += sign * stratum.floor
        if stratum.alone:
            weight = sign * stratum.alone * stratum.extent
            for slot, amount in zip(stratum.slots, stratum.amounts, strict=True):
                self._lone[slot] += weight * amount

    def _apply_sample(self, stratum: Stratum, sign: int) -> None:
        amounts, writes, strata, variances = self._amounts, self._writes, self._strata, self._variances
        poisson, fourths, least = self._poisson, self._fourths, stratum.poisson
        columns = (stratum.slots, stratum.amounts, stratum.writes, stratum.variances, stratum.shapes)
        for slot, amount, written, variance, shape in zip(*columns, strict=True):
            signed = sign * amount
            amounts[slot] += signed
            poisson[slot] += signed * least
            writes[slot] += signed * written
            variances[slot] += sign * variance
            strata[slot] += sign
            fourth = int(variance * variance * VARIANCE_GRAIN * shape)
            if fourth < _WIDE:
                fourths[slot] += sign * fourth
            else:
                self._widen(slot, sign * fourth)

    def _widen(self, slot: int, fourth: int) -> None:
        total = self._wide.get(slot, 0) + fourth
        if total:
            self._wide[slot] = total
        else:
            self._wide.pop(slot, None)

    # --- rankings ---------------------------------------------------------------------------------------------------

    def top(self, limit: int) -> list[int]:
        """Find the slots with the largest amounts, largest first."""
        return _largest(list(enumerate(self._amounts)), self._amounts, limit)

    def recent(self, strata: Sequence[Stratum], limit: int) -> list[int]:
        """Find the slots with the largest amounts in `strata`, largest first."""
        amounts: dict[int, float] = {}
        for stratum in strata:
            for slot, amount in zip(stratum.slots, stratum.amounts, strict=True):
                amounts[slot] = amounts.get(slot, 0.0) + amount
        return _largest(amounts.items(), amounts.values(), limit)

    def above(self, amount: float) -> list[int]:
        """Find the slots with more than `amount`."""
        return [slot for slot, value in enumerate(self._amounts) if value > amount]

    # --- groups -----------------------------------------------------------------------------------------------------

    def groups(self, name_of: Callable[[bytes], str]) -> dict[tuple[int, str], float]:
        """Sum the amounts by (db, group). A key is named once, as long as `name_of` is the same function."""
        if name_of != self._name_of:
            self._name_of = name_of
            self._group_numbers.clear()
            self._groups = array("i", [_UNNAMED]) * len(self._keys)
        numbers, groups = self._group_numbers, self._groups
        for slot in [slot for slot, number in enumerate(groups) if number == _UNNAMED]:
            key = self._keys[slot]
            if key is not None:
                groups[slot] = numbers.setdefault((self._dbs[slot], name_of(key)), len(numbers))
        sums = [0.0] * len(numbers)
        for number, amount in zip(groups, self._amounts, strict=True):
            sums[number] += amount  # the amount of a free slot is 0, whatever its number
        found = {name: amount for name, amount in zip(numbers, sums, strict=True) if amount}
        if len(numbers) > 2 * len(found) + 1024:
            self._renumber(found)
        return found

    def _renumber(self, live: Iterable[tuple[int, str]]) -> None:
        """Forget the names of groups that have no key any more."""
        names = {name: number for number, name in enumerate(live)}
        moved = [names.get(name, _UNNAMED) for name in self._group_numbers]
        self._groups = array("i", [moved[n] if n != _UNNAMED else n for n in self._groups])
        self._group_numbers = names


def _largest(amounts: Iterable[tuple[int, float]], values: Iterable[float], limit: int) -> list[int]:
    """Choose the slots with the largest amounts; among equals at the end the older slots stay."""
    least = min(nlargest(limit, values), default=0.0)
    above = sorted((-amount, slot) for slot, amount in amounts if amount > least)
    equal = islice((slot for slot, amount in amounts if amount == least > 0.0), max(0, limit - len(above)))
    return [slot for _, slot in above][:limit] + list(equal)
