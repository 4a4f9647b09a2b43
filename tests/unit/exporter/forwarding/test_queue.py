"""The outbox: bounded in number and size, and what it drops is counted."""

from poolscope_exporter.forwarding.queue import Loss, Outbox, Parcel


def a_parcel(name: str, arrived_at_s: float = 0.0) -> Parcel:
    return Parcel(name.encode(), False, arrived_at_s)


def names(parcels: list[Parcel]) -> str:
    return "".join(parcel.body.decode() for parcel in parcels)


def test_what_came_first_leaves_first_up_to_the_batch() -> None:
    outbox = Outbox()
    for name in "abcde":
        outbox.put(a_parcel(name))

    assert names(outbox.take_batch(2, 100)) == "ab"
    assert names(outbox.take_batch(9, 2)) == "cd"
    assert names(outbox.take_batch(9, 0)) == "e"
    assert (len(outbox), outbox.size) == (0, 0)


def test_too_many_drop_the_oldest() -> None:
    outbox = Outbox(max_items=2)
    for name in "abc":
        outbox.put(a_parcel(name))

    assert outbox.lost[Loss.QUEUE_FULL] == 1
    assert names(outbox.take_batch(9, 100)) == "bc"


def test_too_much_drops_the_oldest_until_it_fits() -> None:
    outbox = Outbox(max_bytes=6)
    for name in ("aa", "bb", "cc", "ddddd"):
        outbox.put(a_parcel(name))

    assert outbox.lost[Loss.QUEUE_FULL] == 3
    assert outbox.size == 5
    outbox.put(a_parcel("larger than all"))
    assert (len(outbox), outbox.size) == (0, 0)


def test_what_is_too_old_is_dropped_and_counted() -> None:
    outbox = Outbox()
    for second, name in enumerate("abc"):
        outbox.put(a_parcel(name, float(second)))

    outbox.drop_before(2.0)

    assert outbox.lost[Loss.TOO_OLD] == 2
    assert names(outbox.take_batch(9, 100)) == "c"
