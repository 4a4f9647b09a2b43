"""The pause before a failing peer is tried again: doubled, bounded, and not in step."""

import pytest

from poolscope_exporter.polling.backoff import Backoff, random_share


def a_backoff(jitter: float = 1.0) -> Backoff:
    return Backoff(1.0, 10.0, lambda: jitter)


@pytest.mark.parametrize(
    ("failures", "pause_s"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (100_000, 10.0)]
)
def test_pause_doubles_with_each_failure_up_to_the_longest(failures: int, pause_s: float) -> None:
    assert a_backoff().pause_s(failures) == pause_s


@pytest.mark.parametrize("failures", [1, 100])
def test_jitter_changes_every_pause(failures: int) -> None:
    plain_s = a_backoff().pause_s(failures)

    assert a_backoff(0.75).pause_s(failures) == 0.75 * plain_s
    assert a_backoff(1.25).pause_s(failures) == 1.25 * plain_s


def test_jitter_is_a_quarter_at_most_and_differs_from_pause_to_pause() -> None:
    shares = {random_share() for _ in range(50)}

    assert len(shares) > 1
    assert all(0.75 <= share <= 1.25 for share in shares)
