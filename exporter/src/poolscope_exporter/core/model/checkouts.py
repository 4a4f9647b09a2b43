"""The data that applications report: processes, pools and held checkouts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from poolscope import catalogue
from poolscope.catalogue import Evidence, OwnerKind, UnitKind
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.now_places import NowPlace

MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, order=True)
class Instance:
    """One application process, or the unit that the sender calls an instance."""

    namespace: str
    name: str
    id: str


@dataclass(frozen=True, slots=True, order=True)
class Pool:
    """One pool of one process; `server_port` is 0 if the application did not report it."""

    instance: Instance
    name: str
    db_namespace: str
    server_address: str
    server_port: int

    @property
    def database(self) -> str:
        """Return the database; the semantic conventions write "database|schema" into one name."""
        return self.db_namespace.partition("|")[0]


class CheckoutKey(NamedTuple):
    """The identity of a checkout across pushes; `id` is never reused within its process."""

    instance: Instance
    id: int


@dataclass(frozen=True, slots=True)
class Checkout:
    """One held connection, as of a push; `unit_name` names the work for which it was taken."""

    pool: Pool
    id: int
    age_s: float
    backend_pid: int | None = None
    local: Endpoint | None = None
    peer: Endpoint | None = None
    connection_age_s: float | None = None
    route: str | None = None
    code_file: str | None = None
    code_line: int | None = None
    code_function: str | None = None
    owner_kind: OwnerKind | None = None
    unit_kind: UnitKind | None = None
    unit_name: str | None = None
    evidence: Evidence | None = None
    trace_id: str | None = None
    now: NowPlace | None = None

    @property
    def key(self) -> CheckoutKey:
        """Return the identity of the checkout across pushes."""
        return CheckoutKey(self.pool.instance, self.id)


@dataclass(frozen=True, slots=True)
class InheritedConnection:
    """A connection that several processes have since a fork, as of a push; None is unknown.

    Either the process reports that another one opened it, or another one reports it as well.

    It was last taken `unused_s` ago; 0 while it is checked out. The `route` and `code_*` are those
    of its last checkout. The processes that use the same session are named in `shared_with`.
    """

    backend_pid: int | None
    local: Endpoint | None
    unused_s: float
    route: str | None = None
    code_file: str | None = None
    code_line: int | None = None
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldCheckouts:
    """The held checkouts of one pool; complete if as many are listed as are held."""

    pool: Pool
    held: int
    listed: tuple[Checkout, ...]


def pool_of(instance: Instance, attributes: Mapping[str, str]) -> Pool:
    """Return the pool that attributes name; the port is 0 if they have none.

    Numbers and held checkouts of a pool are joined by this value. Both use this function, and
    neither shortens the texts, which the receiver has limited.
    """
    return Pool(
        instance=instance,
        name=attributes.get(catalogue.POOL_NAME, ""),
        db_namespace=attributes.get(catalogue.DB_NAMESPACE, ""),
        server_address=attributes.get(catalogue.SERVER_ADDRESS, ""),
        server_port=_port(attributes.get(catalogue.SERVER_PORT, "")),
    )


def _port(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PORT))
    return int(text) if is_number and int(text) <= MAX_PORT else 0
