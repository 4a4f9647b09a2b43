"""The method of `make bench`: a cost is paired with the bare block beside it, and has an error."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, count, repeat

import pytest

from benchmarks.method import MOST, compare
from benchmarks.variants import BARE, CONTROL, OURS


class Machine:
    """A machine that becomes slower and slower, and processes that differ by so much."""

    def __init__(self, *differences: float, cost: float = 1.1) -> None:
        self.begun = 0
        self._cost = cost
        self._differences = chain(differences, repeat(0.0))
        self._slower = count()

    @contextmanager
    def begin(self) -> Iterator[Mapping[str, Callable[[], float]]]:
        self.begun += 1
        different = next(self._differences)
        yield {
            BARE.name: lambda: self._us(1.0),
            CONTROL.name: lambda: self._us(1.0),
            OURS.name: lambda: self._us(self._cost + different),
        }

    def _us(self, ratio: float) -> float:
        return (100.0 + next(self._slower) * 0.001) * ratio


def test_a_machine_that_becomes_slower_changes_no_cost() -> None:
    machine = Machine()
    costs = compare(machine.begin, 50, 10, random.Random(1))
    assert machine.begun == 10
    assert costs[OURS.name].ratio == pytest.approx(1.1, abs=0.001)
    assert costs[CONTROL.name].ratio == pytest.approx(1.0, abs=0.001)
    assert BARE.name not in costs


def test_processes_that_differ_are_told_by_the_error_and_repeated() -> None:
    machine = Machine(*[-0.05, 0.05] * 10 * MOST)
    costs = compare(machine.begin, 5, 10, random.Random(1))
    assert machine.begun == MOST * 10
    assert costs[OURS.name].ratio_error == pytest.approx(0.021, abs=0.001)


def test_what_costs_much_needs_not_be_known_so_well() -> None:
    machine = Machine(*[-0.05, 0.05] * 10, cost=3.0)
    compare(machine.begin, 5, 10, random.Random(1))
    assert machine.begun == 10


def test_few_processes_tell_less() -> None:
    def error(processes: int) -> float:
        machine = Machine(*[-0.05, 0.05] * 10)
        return compare(machine.begin, 5, processes, random.Random(1))[OURS.name].ratio_error

    # Four and twenty, since they differ: by the root of that 2.5 times, by Student's t 3.5.
    assert error(2) > 3 * error(10)
