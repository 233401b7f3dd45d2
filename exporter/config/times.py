"""Times of a crontab line: `minute hour day month weekday` in, a trigger of APScheduler out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

_WANTED = "must be five fields as in crontab: minute hour day month weekday, such as 30 4 * * *"
_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAYS = re.compile(r"([0-7])(?:-([0-7]))?")
_ALIASES = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip


def read_cron(text: str) -> Any:
    """Read a crontab line, in UTC. Raises ValueError, also for a time that never comes.

    Two differences of APScheduler are undone: it counts weekdays from Monday (crontab: 0 and 7 are Sunday), and takes a
    day of the month and a weekday together as "both" (crontab: either).
    """
    fields = _ALIASES.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        raise ValueError(_WANTED)
    minute, hour, day, month, weekday = fields
    try:
        weekday = ",".join(map(_weekdays, weekday.lower().split(",")))
        days: list[dict[str, str]] = [{"day": day, "day_of_week": weekday}]
        if not day.startswith("*") and not weekday.startswith("*"):
            days = [{"day": day}, {"day_of_week": weekday}]
        triggers = [CronTrigger(minute=minute, hour=hour, month=month, timezone=UTC, **each) for each in days]
    except (ValueError, IndexError, TypeError):
        raise ValueError(_WANTED) from None
    now = datetime.now(UTC)
    if all(trigger.get_next_fire_time(None, now) is None for trigger in triggers):
        raise ValueError("is a time that never comes")
    return triggers[0] if len(triggers) == 1 else OrTrigger(triggers)


def _weekdays(item: str) -> str:
    """Write a number or a range of numbers as names; APScheduler knows no range that begins on Sunday."""
    found = _WEEKDAYS.fullmatch(item)
    if found is None:
        return item
    first, last = int(found[1]), int(found[2] or found[1])
    if first > last:
        raise ValueError(_WANTED)
    return ",".join(_NAMES[first : last + 1])
