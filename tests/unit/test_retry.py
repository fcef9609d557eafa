"""The retry ladder."""

from __future__ import annotations

from datetime import timedelta

from routes.retry import RetryLadder


def test_ten_attempts_over_three_days_and_then_no_more() -> None:
    ladder = RetryLadder()

    waits = [ladder.wait(n, 0.5) for n in range(11)]

    assert waits[:4] == [timedelta(0), timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)]
    assert sum((w for w in waits if w is not None), timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    assert waits[10] is None


def test_chance_spreads_a_wait_by_a_fifth() -> None:
    assert RetryLadder().wait(2, 0.0) == timedelta(minutes=4)
    assert RetryLadder().wait(2, 1.0) == timedelta(minutes=6)


def test_the_other_sides_wish_prolongs_a_wait_up_to_a_day_and_never_shortens_it() -> None:
    assert RetryLadder().wait(1, 0.5, 60.0) == timedelta(minutes=1)
    assert RetryLadder().wait(1, 0.5, 1e9) == timedelta(days=1)
    assert RetryLadder().wait(2, 0.5, 1.0) == timedelta(minutes=5)
    assert RetryLadder().wait(2, 0.5, -5.0) == timedelta(minutes=5)
