#!/usr/bin/python3
"""Cuts NUL bytes off the end of Redis' append-only files, before Redis reads them (erratum E80).

After a power cut a file may be longer than what was written to the disk; the rest reads as NULs,
and Redis refuses such a file. What it writes always ends in a line feed, so that no data is lost.
"""

import os
import sys
from pathlib import Path

CHUNK = 65536


def end_of_data(path: Path) -> int:
    """How many bytes there are without the NULs at the end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while size:
            begin = max(0, size - CHUNK)
            file.seek(begin)
            data = file.read(size - begin).rstrip(b"\0")
            if data:
                return begin + len(data)
            size = begin
    return 0


def main(directory: Path) -> None:
    """Look at every incremental file; those that end as they should are left alone."""
    for path in sorted(directory.glob("*.incr.aof")):
        end, size = end_of_data(path), path.stat().st_size
        if end < size:
            print(f"{path}: {size - end} NUL bytes at the end are cut off", file=sys.stderr)
            os.truncate(path, end)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
