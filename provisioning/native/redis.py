"""The two Redis servers, cache and queue: Debian's binary, our units, files and directories."""

from decimal import Decimal
from pathlib import Path

from provisioning.component import Activation, Component, Context
from provisioning.render import render
from provisioning.resources import Directory, Ensure, File, Package, Unit

VALIDATE = """
chmod -R go+rX "$STAGE"
chown -R redis:redis "$STAGE"
cd "$STAGE"
runuser -u redis -- timeout 10 redis-server "$STAGE/etc/redis/{name}.conf" --port 0 \\
  --unixsocket "$STAGE/socket" --daemonize no --supervised no --dir "$STAGE" --logfile '' \\
  --pidfile "$STAGE/pid" > "$STAGE/said" 2>&1 &
pid=$!
for tenth in $(seq 50); do
  [ -S "$STAGE/socket" ] && break
  kill -0 $pid 2>/dev/null || break
  sleep 0.1
done
[ -S "$STAGE/socket" ] && started=yes || started=no
kill $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
if [ $started = no ]; then cat "$STAGE/said"; exit 1; fi
"""
"""Redis has no check of its own: it is started with the staged file on a private socket."""

VERIFY = """
for second in $(seq 30); do
  said=$(redis-cli -h 127.0.0.1 -p {port} PING 2>&1) || true
  case $said in NOAUTH*|PONG) exit 0;; esac
  sleep 0.5
done
echo "$said"; exit 1
"""

LIVE_CHECK = """
running=$(redis-cli -h 127.0.0.1 -p {port} --no-auth-warning CONFIG GET '*' | paste -d ' ' - -)
differs=$(printf '%s\\n' "$WANTED" | while IFS= read -r line; do
  printf '%s\\n' "$running" | grep -qxF "$line" || echo "not running with ${{line%% *}} of its file"
done)
[ -z "$differs" ] || {{ echo "$differs"; exit 1; }}
"""

LIVE_DO = """
printf '%s\\n' "$WANTED" | while IFS= read -r line; do
  printf 'CONFIG SET %s "%s"\\n' "${{line%% *}}" "${{line#* }}"
done | redis-cli -h 127.0.0.1 -p {port} --no-auth-warning >/dev/null || true
( {check} ) || {{ systemctl restart {unit}; {verify} }}
"""
"""Setting the values again keeps what the server holds; what can't be set so takes a restart."""

FIRST = Unit("redis-server.service", enabled=False, running=False, masked=True)
"""Debian's own server would take port 6379 as soon as its package is installed."""


TAIL = "/usr/local/sbin/connect-redis-aof-tail"
"""Runs before the queue: without it a power cut may leave a queue that does not start (E80)."""


def cache(ctx: Context) -> Component:
    """The cache: evicts, keeps nothing on disk."""
    return _component(ctx, "redis-cache", "cache", "REDIS_CACHE_PASSWORD", (FIRST,), tail="")


def queue(ctx: Context) -> Component:
    """The queue: refuses writes when full, keeps an append-only file."""
    program = Path(__file__).with_name("redis_aof_tail.py").read_bytes()
    extra = (File(TAIL, program, 0o755),)
    return _component(ctx, "redis-queue", "queue", "REDIS_QUEUE_PASSWORD", extra, tail=TAIL)


def options(ctx: Context, name: str) -> dict[str, str]:
    """The documented directives but the password."""
    return {
        expectation.key: expectation.expected
        for expectation in ctx.expectations.values()
        if expectation.control.component == name and expectation.key != "requirepass"
    }


def wanted(ctx: Context, name: str, password: str) -> str:
    """What CONFIG GET must show, a line each: memory sizes are shown in bytes."""
    lines = []
    for key in options(ctx, name):
        expectation = ctx.expectations[f"{name}.{key}"]
        value: object = expectation.expected.strip('"')
        if expectation.control.type == "memory" and isinstance(expectation.value, int | Decimal):
            value = int(expectation.value)
        lines.append(f"{key} {value}")
    return "\n".join([*lines, f"requirepass {password}"])


def _component(
    ctx: Context, name: str, short: str, secret: str, extra: tuple[Unit | File, ...], *, tail: str
) -> Component:
    directory = f"/var/lib/redis/{short}"
    file, unit = f"/etc/redis/{name}.conf", f"{name}.service"
    unit_file = f"/etc/systemd/system/{unit}"
    port, password = ctx.expected(f"{name}.port"), ctx.secrets[secret]
    documented = options(ctx, name)
    check, verify = LIVE_CHECK.format(port=port), VERIFY.format(port=port)
    content = render(
        "native/redis.conf.j2", options=documented, directory=directory, password=password
    )
    service = render(
        "native/redis.service.j2", short=short, name=name, directory=directory, tail=tail
    )
    return Component(
        name,
        (
            *extra,
            Package("redis-server"),
            Directory(directory, 0o750, "redis", "redis"),
            File(file, content, 0o640, "redis", "redis", secret=True),
            File(unit_file, service),
            Unit(unit),
            Ensure(
                f"{name} runs with its file",
                check,
                LIVE_DO.format(port=port, check=check, unit=unit, verify=verify),
                {"REDISCLI_AUTH": password, "WANTED": wanted(ctx, name, password)},
            ),
        ),
        validate=VALIDATE.format(name=name),
        verify=verify,
        activation=Activation(unit, log=documented["logfile"]),
        after=("host",),
    )
