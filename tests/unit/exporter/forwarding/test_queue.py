"""The queue: bounded in number and size, and what it drops is counted."""

from poolscope_exporter.forwarding.queue import ForwardQueue, Loss, QueuedRequest


def a_queued_request(name: str, arrived_at_s: float = 0.0) -> QueuedRequest:
    return QueuedRequest(name.encode(), False, arrived_at_s)


def names(requests: list[QueuedRequest]) -> str:
    return "".join(request.body.decode() for request in requests)


def test_what_came_first_leaves_first_up_to_the_batch() -> None:
    queue = ForwardQueue()
    for name in "abcde":
        queue.put(a_queued_request(name))

    assert names(queue.take_batch(2, 100)) == "ab"
    assert names(queue.take_batch(9, 2)) == "cd"
    assert names(queue.take_batch(9, 0)) == "e"
    assert (len(queue), queue.size) == (0, 0)


def test_too_many_drop_the_oldest() -> None:
    queue = ForwardQueue(max_items=2)
    for name in "abc":
        queue.put(a_queued_request(name))

    assert queue.lost[Loss.QUEUE_FULL] == 1
    assert names(queue.take_batch(9, 100)) == "bc"


def test_too_much_drops_the_oldest_until_it_fits() -> None:
    queue = ForwardQueue(max_bytes=6)
    for name in ("aa", "bb", "cc", "ddddd"):
        queue.put(a_queued_request(name))

    assert queue.lost[Loss.QUEUE_FULL] == 3
    assert queue.size == 5
    queue.put(a_queued_request("larger than all"))
    assert (len(queue), queue.size) == (0, 0)


def test_what_is_too_old_is_dropped_and_counted() -> None:
    queue = ForwardQueue()
    for second, name in enumerate("abc"):
        queue.put(a_queued_request(name, float(second)))

    queue.drop_before(2.0)

    assert queue.lost[Loss.TOO_OLD] == 2
    assert names(queue.take_batch(9, 100)) == "c"
