"""Who accepts gzip, and that what is sent is what was written."""

import gzip

import pytest

from poolscope_exporter.listeners.compression import accepts_gzip, gzip_parts


@pytest.mark.parametrize(
    "header",
    ["gzip", "gzip, deflate, br", "GZIP", "br;q=1.0, gzip;q=0.8", "*", "*;q=0.1", "gzip;q=1"],
)
def test_gzip_is_accepted_where_the_reader_names_it(header: str) -> None:
    assert accepts_gzip(header)


@pytest.mark.parametrize(
    "header",
    ["", "identity", "br", "gzip;q=0", "gzip; q=0.0", "*, gzip;q=0", "*;q=0", "gzip;q=", "xgzip"],
)
def test_gzip_is_not_sent_to_a_reader_that_does_not_accept_it(header: str) -> None:
    assert not accepts_gzip(header)


@pytest.mark.parametrize("parts", [[], [b""], [b"one line\n"], [b"x" * 100_000, b"", b"y" * 7]])
def test_compressed_parts_are_one_stream_of_the_same_bytes(parts: list[bytes]) -> None:
    assert gzip.decompress(b"".join(gzip_parts(parts))) == b"".join(parts)


def test_each_part_is_compressed_by_itself_so_that_no_copy_of_the_whole_is_made() -> None:
    taken: list[int] = []

    def parts() -> list[bytes]:
        return [bytes(1_000_000)] * 3

    def counted() -> object:
        for number, part in enumerate(parts()):
            taken.append(number)
            yield part

    first = next(gzip_parts(counted()))  # type: ignore[arg-type]  # a generator of bytes

    assert first
    assert len(taken) < 3
