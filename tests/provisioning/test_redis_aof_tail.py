"""NUL bytes at the end go, everything else stays, however long either is."""

import pytest

from provisioning.native.redis_aof_tail import CHUNK, main

RECORD = b"*1\r\n$4\r\nEXEC\r\n"


@pytest.mark.parametrize("nuls", [0, 1, 324, CHUNK, 2 * CHUNK + 7])
@pytest.mark.parametrize("records", [0, 1, 10_000])
def test_only_nuls_at_the_end_are_cut_off(tmp_path, nuls, records):
    path = tmp_path / "appendonly.aof.1.incr.aof"
    data = b"\0in the middle\0" * bool(records) + RECORD * records
    path.write_bytes(data + b"\0" * nuls)
    main(tmp_path)
    assert path.read_bytes() == data


def test_the_base_file_is_none_of_its_business(tmp_path):
    path = tmp_path / "appendonly.aof.1.base.rdb"
    path.write_bytes(b"REDIS\0\0")
    main(tmp_path)
    assert path.read_bytes() == b"REDIS\0\0"


def test_no_directory_yet_is_no_error(tmp_path):
    main(tmp_path / "appendonlydir")
