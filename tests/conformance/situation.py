"""A row of the table: what happens to a pool, and what poolscope must count."""

from dataclasses import dataclass, field

from conformance.case import Play
from conformance.column import Options


@dataclass(frozen=True, slots=True)
class Situation:
    """`counted` is the cell's text unless the column differs.

    `of_sessions`: it is about SQLAlchemy's sessions, and is played on one pool of each kind.
    `on_a_loop`: synchronous pools too are used from a running event loop here. `forks` and
    `collects`: what the interpreter warns about belongs to the situation.
    """

    name: str
    title: str
    play: Play
    counted: str
    options: Options = field(default_factory=Options)
    on_a_loop: bool = False
    of_sessions: bool = False
    forks: bool = False
    collects: bool = False
