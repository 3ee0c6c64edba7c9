"""What the documented memory sizes can take at worst, added up.

Each size of document A is stated by itself (3.1, 3.3, 3.4). That together they fit the 128 GB of
1.1 is stated nowhere, and follows from none of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class MemorySizes:
    """The sizes that decide, in bytes, and how many times each can be taken at once."""

    shared_buffers: int
    work_mem: int
    max_connections: int
    maintenance_work_mem: int
    autovacuum_max_workers: int
    cache_maxmemory: int
    queue_maxmemory: int
    node_processes: int
    max_memory_restart: int

    @property
    def at_worst(self) -> Mapping[str, int]:
        """What each service can take in bytes, all at the same time.

        - PostgreSQL: its shared buffers; one sort or hash table of `work_mem` in each connection (a
          query may take several: PostgreSQL 15, 20.4.1), and every autovacuum worker at its limit.
        - Redis: both at `maxmemory`, and the queue once more, because the child that rewrites its
          append-only file shares pages only until they change (Redis, "Persistence").
        - Node: every process just below the size at which PM2 restarts it.
        """
        return {
            "PostgreSQL": self.shared_buffers
            + self.max_connections * self.work_mem
            + self.autovacuum_max_workers * self.maintenance_work_mem,
            "Redis cache": self.cache_maxmemory,
            "Redis queue": 2 * self.queue_maxmemory,
            "Node": self.node_processes * self.max_memory_restart,
        }
