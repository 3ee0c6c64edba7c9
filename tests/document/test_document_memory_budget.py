"""The documented memory sizes, added up: what fits 128 GB at worst and what does not."""

from connect_infra.document import MemorySizes, load, parse
from connect_infra.document.sizing import DOCUMENTED_MEMORY
from connect_infra.document.values import GIB

AUTOVACUUM_WORKERS = 3
"""PostgreSQL's default; the document says nothing about it."""


def documented(processes):
    def size(control):
        value = parse("memory", load().controls[control].documented)
        assert isinstance(value, int)
        return value

    return MemorySizes(
        shared_buffers=size("postgresql.shared_buffers"),
        work_mem=size("postgresql.work_mem"),
        max_connections=int(load().controls["postgresql.max_connections"].documented),
        maintenance_work_mem=size("postgresql.maintenance_work_mem"),
        autovacuum_max_workers=AUTOVACUUM_WORKERS,
        cache_maxmemory=size("redis-cache.maxmemory"),
        queue_maxmemory=size("redis-queue.maxmemory"),
        node_processes=processes,
        max_memory_restart=size("pm2.max_memory_restart"),
    )


def test_each_service_takes_what_its_sizes_allow():
    at_worst = {name: size / GIB for name, size in documented(24).at_worst.items()}
    assert at_worst == {"PostgreSQL": 42.5, "Redis cache": 15, "Redis queue": 8, "Node": 72}


def test_24_processes_do_not_fit_and_12_do():
    assert sum(documented(24).at_worst.values()) > DOCUMENTED_MEMORY
    assert sum(documented(12).at_worst.values()) < DOCUMENTED_MEMORY * 80 // 100
