"""Describe what applications say: processes, pools, held checkouts, series, and whole pushes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from poolscope import catalogue
from poolscope.catalogue import Evidence, OwnerKind
from poolscope_exporter.core.model.endpoints import Endpoint

MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, order=True)
class Instance:
    """One application process (or whatever the sender calls an instance)."""

    namespace: str
    name: str
    id: str


@dataclass(frozen=True, slots=True, order=True)
class Pool:
    """One pool of one process; `server_port` is 0 where the application did not say."""

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
    """What names a checkout across pushes; `id` is never reused within its process."""

    instance: Instance
    id: int


@dataclass(frozen=True, slots=True)
class Checkout:
    """One held connection, as of a push."""

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
    evidence: Evidence | None = None
    trace_id: str | None = None

    @property
    def key(self) -> CheckoutKey:
        """Return what names the checkout across pushes."""
        return CheckoutKey(self.pool.instance, self.id)


@dataclass(frozen=True, slots=True)
class HeldCheckouts:
    """The held checkouts of one pool; complete when as many are listed as are held."""

    pool: Pool
    held: int
    listed: tuple[Checkout, ...]


def pool_of(instance: Instance, attributes: Mapping[str, str]) -> Pool:
    """Return the pool that attributes name; the port is 0 where they give none.

    Numbers and held checkouts of a pool meet under what this returns: both use it, and neither
    cuts the texts, which the receiver has bounded.
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
