"""What a drill asks a host of each topology: is it steady, what was written, which alerts fire."""

from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.document import Topology
from connect_infra.facts import docker, units

ADDRESS = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"


@dataclass(frozen=True)
class Platform:
    """Scripts for hosts of one topology."""

    look: str
    """Says a line for each thing: its kind and what was found; the last line is `looked`."""
    parts: tuple[str, ...]
    """What `look` is told to look at."""
    sql: str
    """Runs the statement $1 on the primary and prints its rows."""
    streams: str
    """Prints the queue's streams, a JSON list a line."""
    alerts: str
    """Prints Alertmanager's alerts as JSON."""


ASK_ALERTMANAGER = "curl -fsS --max-time 3 'http://127.0.0.1:9093/api/v2/alerts?active=true'"

ALERTS = f"""
alerts=$({ASK_ALERTMANAGER}) || alerts=failed
echo "alerts $(printf '%s' "$alerts" | jq -r '[.[].labels.alertname] | join(" ")' 2>&1)"
echo looked
"""

NATIVE = Platform(
    look="""
echo "failed $(systemctl --failed --plain --no-legend | awk '{print $1}' | tr '\\n' ' ')"
for unit; do systemctl is-active --quiet "$unit" || echo "down $unit"; done
echo "free $(df --output=avail -B1 / | tail -1)"
echo "archive $(runuser -u postgres -- psql -XAtc "SELECT coalesce(
  last_failed_time > coalesce(last_archived_time, '-infinity'), false) FROM pg_stat_archiver" 2>&1)"
"""
    + ALERTS,
    parts=units.SERVICES,
    sql="""runuser -u postgres -- psql -XAt -v ON_ERROR_STOP=1 -d connect -c "$1" """,
    streams="""
REDISCLI_AUTH=$(sed -n 's/^requirepass //p' /etc/redis/redis-queue.conf)
export REDISCLI_AUTH
for stream in connect:jobs connect:jobs:dead; do
  redis-cli -p 6380 --json XRANGE "$stream" - +
done
""",
    alerts=ASK_ALERTMANAGER,
)

DOCKER = Platform(
    look=f"""
echo "failed $(systemctl --failed --plain --no-legend | awk '{{print $1}}' | tr '\\n' ' ')"
for name; do
  state=$(docker inspect --format '{{{{.State.Health.Status}}}}' "$name" 2>/dev/null || echo absent)
  [ "$state" = healthy ] || echo "down $name ($state)"
done
echo "free $(df --output=avail -B1 / | tail -1)"
address=$(docker inspect --format '{ADDRESS}' patroni1 2>/dev/null)
members=$(curl -fsS --max-time 3 "http://$address:8008/cluster" |
  jq -r '[.members[] | .role + ":" + .state] | sort | join(" ")')
case "$members" in
  "leader:running sync_standby:running" | "leader:running sync_standby:streaming") ;;
  *) echo "down a synchronous replica (${{members:-no answer of patroni1}})" ;;
esac
"""
    + ALERTS,
    parts=docker.PLATFORM,
    sql="""docker exec -i connect_postgres psql -XAt -v ON_ERROR_STOP=1 -U connect -c "$1" """,
    streams="""
for stream in connect:jobs connect:jobs:dead; do
  docker exec connect_redis redis-cli -n 1 --json XRANGE "$stream" - +
done
""",
    alerts=ASK_ALERTMANAGER,
)

PLATFORMS: Mapping[Topology, Platform] = {"native": NATIVE, "containers": DOCKER}
