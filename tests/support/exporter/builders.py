"""Build the values of the exporter's core: a test names what it is about, these supply the rest."""

from collections import Counter
from collections.abc import Iterable, Mapping

from poolscope import catalogue
from poolscope.catalogue import Evidence, Kind, Metric, Phase, Publisher
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.model.checkouts import (
    Checkout,
    HeldCheckouts,
    InheritedConnection,
    Instance,
    Pool,
)
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.lock_waits import LockWaits
from poolscope_exporter.core.model.pgbouncers import (
    Bouncer,
    BouncerClient,
    BouncerSample,
    BouncerServer,
    ClientQueue,
    ClientState,
    socket_of,
)
from poolscope_exporter.core.model.pushes import (
    HistogramValue,
    Point,
    Push,
    WaitingCaller,
    WaitingCallers,
)
from poolscope_exporter.core.model.servers import Privilege, ServerIdentity
from poolscope_exporter.core.model.sessions import IdleBlocker, Session, SessionSample, SessionState

PID = 4711
BACKEND_START_S = 1_700_000_000.25
LOCAL = Endpoint("10.0.0.7", 50_002)
PEER = Endpoint("10.0.0.1", 5432)
SERVER = "main"
BOUNCER = "bouncer"
BOUNCER_END = Endpoint("10.0.0.2", 6432)


def an_instance(
    instance_id: str = "shop-1", name: str = "shop", namespace: str = "acme"
) -> Instance:
    return Instance(namespace, name, instance_id)


def a_pool(
    instance: Instance | None = None,
    *,
    name: str = "orders",
    db_namespace: str = "orders",
    server_address: str = PEER.address,
    server_port: int = PEER.port,
) -> Pool:
    return Pool(instance or an_instance(), name, db_namespace, server_address, server_port)


def a_checkout(
    checkout_id: int = 1,
    *,
    pool: Pool | None = None,
    age_s: float = 10.0,
    backend_pid: int | None = PID,
    local: Endpoint | None = LOCAL,
    peer: Endpoint | None = PEER,
    connection_age_s: float | None = 60.0,
    route: str | None = "/orders",
    evidence: Evidence | None = None,
) -> Checkout:
    return Checkout(
        pool=pool or a_pool(),
        id=checkout_id,
        age_s=age_s,
        backend_pid=backend_pid,
        local=local,
        peer=peer,
        connection_age_s=connection_age_s,
        route=route,
        code_file="shop/orders.py",
        code_line=42,
        code_function="place_order",
        evidence=evidence,
    )


def an_inherited_connection(
    *,
    backend_pid: int | None = PID,
    local: Endpoint | None = LOCAL,
    unused_s: float = 1.0,
    shared_with: tuple[str, ...] = (),
) -> InheritedConnection:
    return InheritedConnection(
        backend_pid, local, unused_s, "/orders", "shop/orders.py", 42, shared_with
    )


def a_waiting_caller(
    age_s: float = 5.0, *, phase: Phase = Phase.QUEUE, route: str | None = "/report"
) -> WaitingCaller:
    return WaitingCaller(phase, age_s, route, "shop/report.py", 20, "report")


def waiting_for(*callers: WaitingCaller, pool: Pool | None = None) -> WaitingCallers:
    """Return the complete list of the callers that wait for a pool."""
    return WaitingCallers(pool or a_pool(), len(callers), callers)


def a_checkout_report(
    checkout: Checkout | None = None,
    *,
    reported_at_s: float = 100.0,
    interval_s: float = 5.0,
) -> CheckoutReport:
    return CheckoutReport(
        checkout or a_checkout(), reported_at_s, reported_at_s, interval_s, Publisher.EXPORTER
    )


def a_session(
    pid: int = PID,
    *,
    state: SessionState | None = SessionState.IDLE,
    hidden: bool = False,
    backend_start_s: float | None = BACKEND_START_S,
    backend_age_s: float | None = 60.0,
    state_age_s: float | None = 30.0,
    xact_age_s: float | None = None,
    query_age_s: float | None = 30.0,
    wait_event_type: str | None = None,
    wait_event: str | None = None,
    client: Endpoint | None = LOCAL,
    database: str | None = "orders",
    user: str | None = "shop",
    blocked_by: tuple[int, ...] = (),
    idle_blockers: tuple[IdleBlocker, ...] = (),
) -> Session:
    return Session(
        pid=pid,
        hidden=hidden,
        backend_start_s=backend_start_s,
        backend_age_s=backend_age_s,
        state=state,
        state_age_s=state_age_s,
        xact_age_s=xact_age_s,
        query_age_s=query_age_s,
        wait_event_type=wait_event_type,
        wait_event=wait_event,
        client=client,
        database=database,
        user=user,
        application_name="",
        blocked_by=blocked_by,
        idle_blockers=idle_blockers,
    )


def lock_waits(
    waits: Mapping[int, tuple[int, ...]], *sessions: Session, waiting: int | None = None
) -> LockWaits:
    """Return the lock waits of a server; a PID that has no given session is active in a lock."""
    found = {
        pid: a_session(pid, state=SessionState.ACTIVE, wait_event_type="Lock") for pid in waits
    }
    found.update({session.pid: session for session in sessions})
    blocked = sum(1 for blockers in waits.values() if blockers)
    return LockWaits(SERVER, 100.0, waits, found, blocked if waiting is None else waiting)


def a_hidden_session(pid: int = PID) -> Session:
    """Return what an unprivileged role sees of another role's session."""
    return a_session(
        pid,
        hidden=True,
        state=None,
        backend_start_s=None,
        backend_age_s=None,
        state_age_s=None,
        query_age_s=None,
        client=None,
    )


def a_sample(
    *sessions: Session,
    server: str = SERVER,
    taken_at_s: float = 100.0,
    asked: Iterable[int] | None = None,
) -> SessionSample:
    found = {session.pid: session for session in sessions}
    pids = frozenset(found if asked is None else asked)
    return SessionSample(server, taken_at_s, pids, found)


def a_server(
    server: str = SERVER, *addresses: Endpoint, privilege: Privilege = Privilege.FULL
) -> ServerIdentity:
    return ServerIdentity(
        server=server,
        version_num=180_004,
        system_identifier="7300000000000000000",
        started_at_s=BACKEND_START_S - 86_400,
        in_recovery=False,
        privilege=privilege,
        role="poolscope",
        addresses=frozenset(addresses or (PEER,)),
    )


def a_client(
    server: str | None = None,
    *,
    is_waiting: bool = False,
    last_request: str = "2026-01-01 12:00:00 UTC",
    waits_s: float = 0.0,
    user: str = "shop",
    database: str = "orders",
) -> BouncerClient:
    """Return a bouncer's client: idle, or active where it has a server, or waiting."""
    busy = ClientState.ACTIVE if server else ClientState.IDLE
    state = ClientState.WAITING if is_waiting else busy
    return BouncerClient(state, server, last_request, waits_s, user, database)


def a_bouncer_server(
    pid: int = PID,
    *,
    remote: Endpoint = PEER,
    local_port: int | None = LOCAL.port,
    user: str = "shop",
) -> BouncerServer:
    return BouncerServer(remote, local_port, pid, user)


def a_bouncer_sample(
    clients: Mapping[Endpoint, BouncerClient] | None = None,
    servers: Mapping[str, BouncerServer] | None = None,
    *,
    bouncer: str = BOUNCER,
    taken_at_s: float = 100.0,
    answered_at_s: float | None = None,
    addresses: Iterable[Endpoint] = (),
    queues: Mapping[tuple[str, str], ClientQueue] | None = None,
) -> BouncerSample:
    found = {socket_of(end): client for end, client in (clients or {}).items()}
    return BouncerSample(
        bouncer=bouncer,
        taken_at_s=taken_at_s,
        answered_at_s=taken_at_s if answered_at_s is None else answered_at_s,
        clients=found,
        servers=servers or {},
        counts=Counter(client.state for client in found.values()),
        addresses=frozenset(addresses),
        queues=queues or {},
    )


def a_bouncer(
    sample: BouncerSample | None = None,
    *addresses: Endpoint,
    name: str = BOUNCER,
    seen: Iterable[Endpoint] = (),
) -> Bouncer:
    return Bouncer(
        name,
        frozenset(addresses or (BOUNCER_END,)),
        sample,
        seen=frozenset(socket_of(end) for end in seen),
    )


def a_point(
    metric: Metric = catalogue.CHECKOUTS,
    value: float | HistogramValue = 1.0,
    *,
    pool: Pool | None = None,
    attributes: Mapping[str, str] | None = None,
    is_delta: bool = False,
    start_ns: int = 1_000,
) -> Point:
    """Return a point of a pool, or of the process where the metric describes one."""
    of_process = metric in catalogue.PROCESS_METRICS
    identity = {} if of_process else identity_of(pool or a_pool())
    state = {catalogue.CONNECTION_STATE: "used"} if metric is catalogue.COUNT else {}
    return Point(
        metric=metric.name,
        kind=metric.kind,
        unit=metric.unit,
        attributes={**identity, **state, **(attributes or {})},
        value=value,
        is_delta=is_delta,
        start_ns=start_ns if metric.kind in (Kind.COUNTER, Kind.HISTOGRAM) else 0,
    )


def identity_of(pool: Pool) -> dict[str, str]:
    return {
        catalogue.POOL_NAME: pool.name,
        catalogue.DB_NAMESPACE: pool.db_namespace,
        catalogue.SERVER_ADDRESS: pool.server_address,
        catalogue.SERVER_PORT: str(pool.server_port) if pool.server_port else "",
    }


def pool_points(
    pool: Pool | None = None, *, used: int = 1, idle: int = 4, limit: int = 15, pending: int = 0
) -> tuple[Point, ...]:
    """Return the gauges by which a pool is judged."""

    def connections(state: catalogue.ConnectionState, value: int) -> Point:
        attributes = {catalogue.CONNECTION_STATE: str(state)}
        return a_point(catalogue.COUNT, value, pool=pool, attributes=attributes)

    return (
        connections(catalogue.ConnectionState.USED, used),
        connections(catalogue.ConnectionState.IDLE, idle),
        a_point(catalogue.MAX, limit, pool=pool),
        a_point(catalogue.PENDING_REQUESTS, pending, pool=pool),
    )


def holding(
    *checkouts: Checkout, pool: Pool | None = None, held: int | None = None
) -> HeldCheckouts:
    """Return the list of a pool that holds these checkouts."""
    of = pool or (checkouts[0].pool if checkouts else a_pool())
    return HeldCheckouts(of, len(checkouts) if held is None else held, checkouts)


def a_push(
    *points: Point,
    instance: Instance | None = None,
    sequence: int | None = 1,
    interval_s: float | None = 5.0,
    is_end: bool = False,
    is_pressed: bool = False,
    is_partial: bool = False,
    publisher: Publisher = Publisher.EXPORTER,
    held: tuple[HeldCheckouts, ...] = (),
    waiters: tuple[WaitingCallers, ...] = (),
    resource: Mapping[str, str] | None = None,
    backend_pids: Mapping[Pool, frozenset[int]] | None = None,
    ended: Mapping[int, float] | None = None,
    inherited: Mapping[Pool, tuple[InheritedConnection, ...]] | None = None,
) -> Push:
    return Push(
        instance=instance or an_instance(),
        resource=resource or {catalogue.PROCESS_PID: "1"},
        points=points,
        sequence=sequence,
        interval_s=interval_s,
        is_end=is_end,
        is_pressed=is_pressed,
        is_partial=is_partial,
        publisher=publisher,
        held=held,
        waiters=waiters,
        backend_pids=backend_pids or {},
        ended=ended or {},
        inherited=inherited or {},
    )
