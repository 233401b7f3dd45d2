"""The keys of a window and their running sums: a stratum is added when it closes and subtracted when it leaves (pure).

In: strata. Out: for each key the sums that an interval needs; rankings; sums by group. A key costs some 250 bytes as
long as any stratum of the window holds it, an entry of a stratum 12. Sums are exact: they return to zero.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from heapq import nlargest
from itertools import compress, islice
from math import inf
from typing import TYPE_CHECKING

from exporter.sampling.stratum import STEPS, largest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exporter.sampling.stratum import DbKey, Stratum

_WIDE = 2.0**50  # larger fourth moments are kept aside: 600 of them would not fit in 64 bits
_MOST_HOT = 4096  # slots that are remembered as large
_NONE = -1  # no slot
_UNNAMED = 0  # the group of keys that have not been named yet


@dataclass(frozen=True, slots=True)
class Sums:
    """What the window holds of one key; amounts are accesses.

    Of strata of one piece: `variance` includes alone * amount^2, `lone` is the sum of alone * extent * amount, `seen`
    their number. `covered`: sum of the floors of the key's strata. `unseen`: the part of the amount that was added.
    """

    amount: float
    variance: float
    fourth: float
    writes: float
    covered: float = 0.0
    lone: float = 0.0
    seen: int = 0
    unseen: float = 0.0


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
        self._fourths = array("q")
        self._wide: dict[int, int] = {}
        self._writes = array("d")
        # Most windows have no floors, no strata of one piece and no slow server: these columns grow when they are used.
        self._covered = array("d")
        self._lone = array("d")
        self._seen = array("d")
        self._unseen = array("d")
        self._least = 0.0  # the last of the top, as a hint where to look next time
        # Every slot with more than `_bound` is in `_hot`, so that rankings need not look at all keys.
        self._hot: set[int] = set()
        self._bound = inf
        self._groups = array("I")
        self._group_sums = [0.0]
        self._group_numbers: dict[tuple[int, str], int] = {(-1, ""): _UNNAMED}
        self._unnamed: set[int] = set()
        self._name_of: Callable[[bytes], str] | None = None

    def __len__(self) -> int:
        return len(self._keys) - len(self._free)

    def key(self, slot: int) -> DbKey:
        """Return the (db, key) of a slot in use."""
        key = self._keys[slot]
        assert key is not None
        return self._dbs[slot], key

    def slot(self, key: DbKey) -> int | None:
        """Return the slot of a key, None if no stratum of the window holds it."""
        return self._slots.get(key[0], {}).get(key[1])

    def amount(self, slot: int) -> float:
        """Return the accesses that the window holds of one key."""
        return self._amounts[slot]

    def sums(self, slot: int) -> Sums:
        """Return what the window holds of one key."""
        rare = (self._covered, self._lone, self._seen, self._unseen)
        covered, lone, seen, unseen = (column[slot] if slot < len(column) else 0.0 for column in rare)
        fourth = (self._fourths[slot] + self._wide.get(slot, 0)) / STEPS
        writes = self._writes[slot] / STEPS
        return Sums(self._amounts[slot], self._variances[slot], fourth, writes, covered, lone, int(seen), unseen)

    # --- adding and subtracting -------------------------------------------------------------------------------------

    def enter(self, stratum: Stratum, keys: list[DbKey], max_keys: int) -> None:
        """Add a stratum: its largest `max_keys` entries, and of new keys no more than part of the room that is left."""
        slots = self._find(keys)
        kept = self._chosen(stratum, slots, max_keys)
        if not all(kept):
            stratum.keep(kept)
            keys, slots = list(compress(keys, kept)), list(compress(slots, kept))
        self._allot(keys, slots)
        stratum.slots = array("H" if len(self._keys) <= 65536 else "I", slots)
        if stratum.exact:
            self._enter_exact(stratum)
        else:
            self._enter_sample(stratum)
        self._mark(stratum, 1)

    def _chosen(self, stratum: Stratum, slots: list[int], max_keys: int) -> bytearray:
        """Choose the entries that there is room for: 1 for each that is kept, 0 for each that goes."""
        kept = bytearray(b"\1") * len(slots)
        rows: Sequence[int] = range(len(slots))
        if len(slots) > max_keys:
            rows = largest(stratum.amounts, rows, max_keys)
            kept = bytearray(len(slots))
            for row in rows:
                kept[row] = 1
        room = self._max_keys - len(self)
        # Shares of what is left, so that a flood cannot blind the window to the next hot key.
        room = min(room, 1 + room // (4 if 4 * room > self._max_keys else 16))
        if len(rows) > room:
            new = [row for row in rows if slots[row] == _NONE]
            for row in set(new).difference(largest(stratum.amounts, new, room)):
                kept[row] = 0
        return kept

    def _find(self, keys: list[DbKey]) -> list[int]:
        """Find the slots of keys, _NONE for those that have none."""
        slots, current, known = [], -1, {}
        for db, key in keys:
            if db != current:
                current, known = db, self._slots.get(db, {})
            slots.append(known.get(key, _NONE))
        return slots

    def _allot(self, keys: list[DbKey], slots: list[int]) -> None:
        """Fill in slots for the keys that have none."""
        for row, slot in enumerate(slots):
            if slot == _NONE:
                db, key = keys[row]
                new = slots[row] = self._free.pop() if self._free else self._grow()
                self._slots.setdefault(db, {})[key] = new
                self._keys[new], self._dbs[new] = key, db
                if self._name_of is not None:
                    self._unnamed.add(new)

    def _grow(self) -> int:
        self._keys.append(None)
        for column in (self._amounts, self._variances, self._writes):
            column.append(0.0)
        for counts in (self._dbs, self._fourths, self._groups):
            counts.append(0)
        return len(self._keys) - 1

    def _enter_exact(self, stratum: Stratum) -> None:
        amounts, all_writes, sums, groups = self._amounts, self._writes, self._group_sums, self._groups
        bound, hot = self._bound, self._hot
        for slot, amount, written in zip(stratum.slots, stratum.amounts, stratum.writes, strict=True):
            total = amounts[slot] = amounts[slot] + amount
            if total > bound:
                hot.add(slot)
            sums[groups[slot]] += amount
            if written:
                all_writes[slot] += STEPS * written

    def _enter_sample(self, stratum: Stratum) -> None:
        amounts, variances, sums, groups = self._amounts, self._variances, self._group_sums, self._groups
        fourths, writes, bound, hot = self._fourths, self._writes, self._bound, self._hot
        columns = (stratum.slots, stratum.amounts, stratum.variances, stratum.shapes, stratum.writes)
        for slot, amount, variance, shape, written in zip(*columns, strict=True):
            total = amounts[slot] = amounts[slot] + amount
            if total > bound:
                hot.add(slot)
            sums[groups[slot]] += amount
            variances[slot] += variance
            fourth = variance * variance * shape
            if fourth < _WIDE:
                fourths[slot] += int(fourth)
            else:
                self._wide[slot] = self._wide.get(slot, 0) + int(fourth)
            if written:
                writes[slot] += amount * written

    def leave(self, stratum: Stratum) -> None:
        """Subtract a stratum that was entered, and forget the keys that no other stratum holds."""
        self._mark(stratum, -1)
        if stratum.exact:
            self._leave_exact(stratum)
        else:
            self._leave_sample(stratum)
        amounts = self._amounts
        for slot in stratum.slots:
            if not amounts[slot]:
                self._release(slot)

    def _leave_exact(self, stratum: Stratum) -> None:
        amounts, all_writes, sums, groups = self._amounts, self._writes, self._group_sums, self._groups
        for slot, amount, written in zip(stratum.slots, stratum.amounts, stratum.writes, strict=True):
            amounts[slot] -= amount
            sums[groups[slot]] -= amount
            if written:
                all_writes[slot] -= STEPS * written

    def _leave_sample(self, stratum: Stratum) -> None:
        amounts, variances, sums, groups = self._amounts, self._variances, self._group_sums, self._groups
        fourths, writes = self._fourths, self._writes
        columns = (stratum.slots, stratum.amounts, stratum.variances, stratum.shapes, stratum.writes)
        for slot, amount, variance, shape, written in zip(*columns, strict=True):
            amounts[slot] -= amount
            sums[groups[slot]] -= amount
            variances[slot] -= variance
            fourth = variance * variance * shape
            if fourth < _WIDE:
                fourths[slot] -= int(fourth)
            else:
                self._wide[slot] -= int(fourth)
                if not self._wide[slot]:
                    del self._wide[slot]
            if written:
                writes[slot] -= amount * written

    def _mark(self, stratum: Stratum, sign: int) -> None:
        """Keep what only some windows need: floors, strata of one piece, and of a server that we slow down."""
        if stratum.floor:
            covered, amount = self._reaching(self._covered), sign * stratum.floor
            for slot in stratum.slots:
                covered[slot] += amount
        if stratum.alone:
            lone, seen, weight = (
                self._reaching(self._lone),
                self._reaching(self._seen),
                sign * stratum.alone * stratum.extent,
            )
            for slot, amount in zip(stratum.slots, stratum.amounts, strict=True):
                lone[slot] += weight * amount
                seen[slot] += sign
        if stratum.unseen:
            unseen, weight = self._reaching(self._unseen), sign * stratum.unseen
            for slot, amount in zip(stratum.slots, stratum.amounts, strict=True):
                unseen[slot] += weight * amount

    def _reaching(self, column: array[float]) -> array[float]:
        """Make a rare column as long as there are slots."""
        column.frombytes(bytes(column.itemsize * (len(self._keys) - len(column))))
        return column

    def _release(self, slot: int) -> None:
        key = self._keys[slot]
        if key is None:
            return
        slots = self._slots[self._dbs[slot]]
        del slots[key]
        if not slots:
            del self._slots[self._dbs[slot]]
        self._keys[slot] = None
        self._free.append(slot)
        self._groups[slot] = _UNNAMED
        self._unnamed.discard(slot)
        self._wide.pop(slot, None)
        # Squares and products of huge amounts may leave a last bit behind.
        for column in (self._variances, self._covered, self._lone, self._seen, self._unseen):
            if slot < len(column):
                column[slot] = 0.0

    # --- rankings ---------------------------------------------------------------------------------------------------

    def top(self, limit: int) -> list[int]:
        """Find the slots with the largest amounts, largest first."""
        found = self.above(0.75 * self._least)
        if len(found) < limit:
            found = self.above(0.0)
        found = largest_first({slot: self._amounts[slot] for slot in found}, limit)
        self._least = self._amounts[found[-1]] if found and len(found) == limit else 0.0
        return found

    def recent_amounts(self, strata: Sequence[Stratum]) -> dict[int, float]:
        """Add up the amounts of `strata` by slot."""
        amounts: dict[int, float] = {}
        for stratum in strata:
            for slot, amount in zip(stratum.slots, stratum.amounts, strict=True):
                amounts[slot] = amounts.get(slot, 0.0) + amount
        return amounts

    def above(self, least: float) -> list[int]:
        """Find the slots with more than the amount `least`, in ascending order."""
        amounts = self._amounts
        if least >= self._bound and len(self._hot) <= 2 * _MOST_HOT:
            self._hot = {slot for slot in self._hot if amounts[slot] > self._bound}
            return sorted(slot for slot in self._hot if amounts[slot] > least)
        near = [slot for slot, amount in enumerate(amounts) if amount > least / 2]
        found = [slot for slot in near if amounts[slot] > least]
        if len(near) <= _MOST_HOT:
            self._hot, self._bound = set(near), least / 2
        elif len(found) <= _MOST_HOT:
            # Many keys are about as hot: then the bound is as low as the number that is remembered allows.
            self._bound = sorted((amounts[slot] for slot in near), reverse=True)[_MOST_HOT]
            self._hot = {slot for slot in near if amounts[slot] > self._bound}
        elif len(self._hot) > _MOST_HOT:
            self._hot, self._bound = set(), inf
        return found

    # --- groups -----------------------------------------------------------------------------------------------------

    def groups(self, name_of: Callable[[bytes], str]) -> dict[tuple[int, str], float]:
        """Sum the amounts by (db, group). A key is named once, as long as `name_of` is the same function."""
        if name_of != self._name_of:
            self._name_of = name_of
            self._group_numbers = {(-1, ""): _UNNAMED}
            self._group_sums = [sum(self._amounts)]
            self._groups = array("I", bytes(self._groups.itemsize * len(self._keys)))
            self._unnamed = {slot for slot, key in enumerate(self._keys) if key is not None}
        numbers, sums = self._group_numbers, self._group_sums
        for slot in self._unnamed:
            db, key = self.key(slot)
            number = self._groups[slot] = numbers.setdefault((db, name_of(key)), len(sums))
            if number == len(sums):
                sums.append(0.0)
            sums[_UNNAMED] -= self._amounts[slot]
            sums[number] += self._amounts[slot]
        self._unnamed.clear()
        found = {name: amount for name, amount in zip(numbers, sums, strict=True) if amount > 0.0}
        if len(numbers) > 2 * len(found) + 1024:
            self._renumber(found)
        return found

    def _renumber(self, live: dict[tuple[int, str], float]) -> None:
        """Forget the groups that have no key any more."""
        numbers = {(-1, ""): _UNNAMED} | {name: number for number, name in enumerate(live, 1)}
        moved = [numbers.get(name, _UNNAMED) for name in self._group_numbers]
        self._groups = array("I", [moved[number] for number in self._groups])
        self._group_numbers, self._group_sums = numbers, [0.0, *live.values()]


def largest_first(amounts: Mapping[int, float], limit: int) -> list[int]:
    """Choose the slots with the largest amounts, largest first; among equals at the end the older slots stay."""
    least = min(nlargest(limit, amounts.values()), default=0.0)
    above = sorted((-amount, slot) for slot, amount in amounts.items() if amount > least)
    equal = islice((slot for slot, amount in amounts.items() if amount == least > 0.0), max(0, limit - len(above)))
    return [slot for _, slot in above][:limit] + list(equal)
