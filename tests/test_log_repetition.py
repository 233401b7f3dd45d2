"""States are logged when they change, errors once a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.log import Changes, Throttle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.loglines import Lines


class TestRepetition:
    """States are logged when they change, errors once a minute."""

    def test_changes(self) -> None:
        """A state is new the first time, when it differs, and when it comes back."""
        changes = Changes()

        assert [changes.changed("a", state) for state in ("x", "x", "y", "y", "x", None, None)] == [
            True, False, True, False, True, True, False,
        ]  # fmt: skip
        assert changes.changed("b", "x")

    def test_changes_are_bounded(self) -> None:
        """The longest unused keys are forgotten."""
        changes = Changes()
        for number in range(3000):
            changes.changed(number, 1)

        assert changes.changed(0, 1)
        assert not changes.changed(2999, 1)

    def test_throttle(self, start_logging: Callable[..., Lines]) -> None:
        """One line a minute and key, with the number of those that were left out."""
        lines, now = start_logging(), [0.0]
        throttle = Throttle(60, clock=lambda: now[0])
        for second in range(130):
            now[0] = float(second)
            throttle.warning("a", "a.b", "x")
            if second < 2:
                throttle.failure("b", "b.c", "y", ValueError("z"))
        found = [(line["event"], line.get("suppressed")) for line in lines.all()]

        assert found == [("a.b", None), ("b.c", None), ("a.b", 59), ("a.b", 59)]

    def test_a_cleared_key_is_logged_at_once(self, start_logging: Callable[..., Lines]) -> None:
        """After a recovery the next error is news."""
        lines = start_logging()
        throttle = Throttle(60, clock=lambda: 0.0)
        throttle.warning("a", "a.b", "x")
        throttle.clear("a")
        throttle.warning("a", "a.b", "x")

        assert len(lines.all()) == 2

    def test_throttle_is_bounded(self, start_logging: Callable[..., Lines]) -> None:
        """Many different keys do not fill the memory."""
        start_logging("error")
        throttle = Throttle(60, clock=lambda: 0.0)
        for number in range(3000):
            throttle.warning(number, "a.b", "x")

        assert len(throttle._seen) == 1000
