"""The database's nodes: Patroni's REST API, the servers themselves, and etcd behind them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from connect_infra.facts.answers import read_json
from connect_infra.facts.base import Output

NAME = "patroni"

NODES = ("patroni1", "patroni2")

_ADDRESS = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"

_SERVER = """SELECT json_build_object(
 'recovery', pg_is_in_recovery(),
 'read_only', current_setting('transaction_read_only'),
 'replicas', (SELECT coalesce(json_agg(json_build_object('name', application_name,
   'state', state, 'sync', sync_state)), '[]') FROM pg_stat_replication),
 'receiver', (SELECT status FROM pg_stat_wal_receiver))"""

_DOOR = """SELECT json_build_object(
 'recovery', pg_is_in_recovery(),
 'indexes', (SELECT coalesce(json_object_agg(indexname, indexdef), '{}') FROM pg_indexes
   WHERE schemaname = 'public'),
 'users', (SELECT count(*) FROM users),
 'migrations', (SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL))"""

_PLAN = """EXPLAIN (FORMAT JSON) {query}"""

QUERIES: Mapping[str, str] = {
    "idx_funding_matches_org_score": "SELECT * FROM funding_matches "
    'WHERE "organizationId" = (SELECT min("organizationId") FROM funding_matches) '
    "ORDER BY score DESC LIMIT 20",
    "idx_funding_programs_agency": "SELECT * FROM funding_programs "
    "WHERE agency = (SELECT min(agency) FROM funding_programs)",
}
"""A query for each documented index that the planner should answer by it."""


def _api(node: str, path: str) -> str:
    address = f"$(docker inspect --format '{_ADDRESS}' {node})"
    return f"curl --silent --show-error --max-time 5 http://{address}:8008/{path}"


def _psql(container: str, user: str, query: str) -> str:
    return f"docker exec -i {container} psql -XAtq -U {user} <<'SQL'\n{query};\nSQL"


COMMANDS: Mapping[str, str] = {
    **{f"cluster.{node}": _api(node, "cluster") for node in NODES},
    **{f"server.{node}": _psql(node, "postgres", _SERVER) for node in NODES},
    "door": _psql("connect_postgres", "connect", _DOOR),
    **{
        f"plan.{index}": _psql("connect_postgres", "connect", _PLAN.format(query=query))
        for index, query in QUERIES.items()
    },
    "ready": "docker exec connect_postgres pg_isready -U connect",
    "etcd": "docker exec etcd etcdctl get --prefix /service/connect/ --keys-only",
    "leader": "docker exec etcd etcdctl get --print-value-only /service/connect/leader",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Member(_Part):
    """A node as Patroni sees it."""

    name: str
    role: str
    state: str
    lag: int | str = 0


class Cluster(_Part):
    """All nodes as one of them sees them."""

    members: tuple[Member, ...]

    def role(self, name: str) -> str:
        """The role of one node; empty when it is no member."""
        return next((one.role for one in self.members if one.name == name), "")


class Replica(_Part):
    """A replica as its primary sees it."""

    name: str
    state: str
    sync: str


class Server(_Part):
    """A PostgreSQL server as it sees itself."""

    recovery: bool
    read_only: str
    replicas: tuple[Replica, ...]
    receiver: str | None


class Door(_Part):
    """The database as the application reaches it."""

    recovery: bool
    indexes: Mapping[str, str]
    users: int
    migrations: int


class Plan(_Part):
    """A node of the planner's plan."""

    kind: str = Field(alias="Node Type")
    index: str = Field(alias="Index Name", default="")
    plans: tuple["Plan", ...] = Field(alias="Plans", default=())

    def indexes(self) -> frozenset[str]:
        """Every index that the plan uses."""
        below = (one.indexes() for one in self.plans)
        return frozenset({self.index} - {""}).union(*below)


class _Explained(_Part):
    plan: Plan = Field(alias="Plan")


_CLUSTER = TypeAdapter(Cluster)
_SERVER_ANSWER = TypeAdapter(Server)
_DOOR_ANSWER = TypeAdapter(Door)
_EXPLAINED = TypeAdapter(tuple[_Explained, ...])


@dataclass(frozen=True)
class PatroniFacts:
    """The database's nodes; each part is read when asked for."""

    outputs: Mapping[str, Output]

    def cluster(self, node: str) -> Cluster:
        """The cluster as one node's REST API has it."""
        return read_json(self.outputs[f"cluster.{node}"], _CLUSTER, f"{node}:8008/cluster")

    def server(self, node: str) -> Server:
        """One server as it sees itself."""
        return read_json(self.outputs[f"server.{node}"], _SERVER_ANSWER, f"psql on {node}")

    @cached_property
    def door(self) -> Door:
        """The database behind connect_postgres."""
        return read_json(self.outputs["door"], _DOOR_ANSWER, "psql on connect_postgres")

    def plan(self, index: str) -> Plan:
        """How the planner answers the query that an index is for."""
        return read_json(self.outputs[f"plan.{index}"], _EXPLAINED, f"EXPLAIN for {index}")[0].plan

    @cached_property
    def ready(self) -> str:
        """What the documented pg_isready says."""
        return self.outputs["ready"].text("pg_isready on connect_postgres").strip()

    @cached_property
    def keys(self) -> frozenset[str]:
        """Patroni's keys in etcd."""
        text = self.outputs["etcd"].text("etcdctl get --keys-only")
        return frozenset(line for line in text.split() if line.startswith("/service/connect/"))

    @cached_property
    def leader(self) -> str:
        """The node that holds the leader's key in etcd."""
        return self.outputs["leader"].text("the leader's key in etcd").strip()


def parse(outputs: Mapping[str, Output]) -> PatroniFacts:
    """Keep the outputs; each part is parsed, and may raise ObservationError, when asked for."""
    return PatroniFacts(outputs)
