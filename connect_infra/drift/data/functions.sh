# shellcheck shell=sh disable=SC2034,SC2154
# What the scripts of the drifts share; KEPT is where a host keeps its files as they were.

keep() { # keep FILE: as it is now, unless it is kept already
  mkdir -p "$KEPT$(dirname "$1")"
  [ -e "$KEPT$1" ] || [ -L "$KEPT$1" ] || cp -a "$1" "$KEPT$1"
}

back() { # back FILE: as it was kept
  rm -rf "$1"
  cp -a "$KEPT$1" "$1"
}

original() { # original FILE: the kept one where there is one, else the one in place
  if [ -e "$KEPT$1" ]; then echo "$KEPT$1"; else echo "$1"; fi
}

patiently() { # patiently COMMAND...: until it succeeds, for 30 seconds
  for tenth in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  echo "never succeeded: $*" >&2
  return 1
}

has_line() { # has_line FILE LINE: exactly that line
  grep -qxF -- "$2" "$1"
}

replace_line() { # replace_line FILE START LINE: the lines that start so become that one, or nothing
  keep "$1"
  START="$2" LINE="$3" awk '
    index($0, ENVIRON["START"]) == 1 { if (ENVIRON["LINE"] != "") print ENVIRON["LINE"]; next }
    { print }' "$1" >"$1.drift"
  ! cmp -s "$1" "$1.drift"
  cat "$1.drift" >"$1"
  rm "$1.drift"
}

# --- systemd: drop-ins that are gone after a reboot ---

unit_drop_in() { # unit_drop_in UNIT LINE...
  unit=$1
  shift
  mkdir -p "/run/systemd/system/$unit.d"
  printf '%s\n' "$@" >"/run/systemd/system/$unit.d/zz-drift.conf"
  systemctl daemon-reload
}

no_unit_drop_in() { # no_unit_drop_in UNIT
  rm -f "/run/systemd/system/$1.d/zz-drift.conf"
  systemctl daemon-reload
}

# --- Redis, for COMPONENT redis-cache or redis-queue ---

redis_file() { echo "/etc/redis/$COMPONENT.conf"; }

redis_ask() { # redis_ask COMMAND...: as who knows the password of the file
  port=$(sed -n 's/^port //p' "$(original "$(redis_file)")")
  REDISCLI_AUTH=$(sed -n 's/^requirepass *"*\([^"]*\)"*$/\1/p' "$(original "$(redis_file)")") \
    redis-cli --no-auth-warning -p "$port" "$@"
}

redis_answers() { [ "$(redis_ask PING)" = PONG ]; }

redis_other_flags() { # redis_other_flags FLAGS...: to be started with more than its file
  unit_drop_in "$COMPONENT.service" "[Service]" "ExecStart=" \
    "ExecStart=/usr/bin/redis-server $(redis_file) $*"
}

redis_own_flags() { no_unit_drop_in "$COMPONENT.service"; }

# --- PostgreSQL ---

POSTGRESQL=/etc/postgresql/15/main
SETTINGS=$POSTGRESQL/conf.d/90-connect.conf

sql() { # sql STATEMENT: as the administrator, in the database postgres
  (cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d postgres -c "$1")
}

postgresql_reload() {
  sql "SELECT pg_reload_conf()" >/dev/null
  sleep 0.3
}

wal_segment_ends() { # with something in it: an empty one is never archived
  sql "SELECT pg_logical_emit_message(false, 'drift', 'drift')" >/dev/null
  sql "SELECT pg_switch_wal()" >/dev/null
}

archiver_says() { # archiver_says CONDITION: of what it has done last
  [ "$(sql "SELECT $1 FROM pg_stat_archiver")" = t ]
}

postgresql_restart() {
  systemctl restart postgresql@15-main
  patiently sql "SELECT 1"
}

postgresql_with() { # postgresql_with OPTIONS: started again, with options of its own
  unit_drop_in postgresql@15-main.service "[Service]" "ExecStart=" \
    "ExecStart=-/usr/bin/pg_ctlcluster --skip-systemctl-redirect 15-main start $1"
  postgresql_restart
}

postgresql_without() {
  no_unit_drop_in postgresql@15-main.service
  postgresql_restart
}

# --- PgBouncer ---

POOLER=/etc/pgbouncer/pgbouncer.ini

console() { # console COMMAND: over its socket, as the user that it runs as
  (cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 \
    -h /var/run/postgresql -p 6432 -U pgbouncer -d pgbouncer -c "$1")
}

pooler_restart() {
  systemctl restart pgbouncer
  patiently console "SHOW VERSION"
}

# --- sshd ---

SSHD=/etc/ssh/sshd_config

sshd_reload() {
  systemctl reload ssh
  patiently sh -c "ss -Hltnp | grep -q '\"sshd\"'"
  sleep 0.3
}

sshd_restart() {
  systemctl restart ssh
  patiently sh -c "ss -Hltnp | grep -q '\"sshd\"'"
}

# --- ufw ---

port_of() { # port_of RULE: of `allow 22/tcp`
  rule=${1#* }
  echo "${rule%/*}"
}

ufw_back() { # the kept rules again, in the kernel too
  back /etc/ufw/user.rules
  back /etc/ufw/user6.rules
  ufw reload
}

# --- nginx ---

nginx_file() { # the file that has the control
  case $ID in
    nginx.site*) echo /etc/nginx/sites-available/connect ;;
    *) echo /etc/nginx/nginx.conf ;;
  esac
}

nginx_change() { # nginx_change VALUE: another value for the control, or none
  keep "$(nginx_file)"
  nginx_set "$(nginx_file)" "$ID" "$KEY" "$EXPECTED" "$1"
  ! cmp -s "$(nginx_file)" "$KEPT$(nginx_file)"
}

oldest_worker() { pgrep -o -f 'nginx: worker process$'; }

other_worker() { [ "$(oldest_worker)" != "$1" ]; }

nginx_reload() { # checked, and taken over by new workers; old ones end with their last client
  nginx -t
  before=$(oldest_worker)
  systemctl reload nginx
  patiently other_worker "$before"
}

nginx_restart_without() { systemctl restart nginx; sleep 0.5; }

nginx_restart() {
  systemctl restart nginx
  patiently sh -c "ss -Hltn | grep -q ':443 '"
}

certificate_of_our_own() { # a self-signed one, where nginx finds it; it stays with the host
  [ -e /etc/ssl/drift.pem ] || openssl req -x509 -newkey rsa:2048 -nodes -days 9 \
    -subj /CN=drift -keyout /etc/ssl/drift.key -out /etc/ssl/drift.pem 2>/dev/null
}

# --- fail2ban ---

jail_option() { # jail_option JAIL OPTION VALUE: in the file
  keep /etc/fail2ban/jail.local
  JAIL="[$1]" OPTION="$2 = " VALUE="$2 = $3" awk '
    /^\[/ { inside = ($0 == ENVIRON["JAIL"]) }
    inside && index($0, ENVIRON["OPTION"]) == 1 { $0 = ENVIRON["VALUE"] }
    { print }' /etc/fail2ban/jail.local >/etc/fail2ban/jail.drift
  ! cmp -s /etc/fail2ban/jail.local /etc/fail2ban/jail.drift
  mv /etc/fail2ban/jail.drift /etc/fail2ban/jail.local
}

all_jails_run() {
  for jail in sshd nginx-req-limit nginx-noscript nginx-badbots; do
    fail2ban-client status "$jail" || return 1
  done
}

fail2ban_restart() {
  systemctl restart fail2ban
  patiently all_jails_run
}

# --- the application ---

application_answers() { # whatever it answers: what it needs may have drifted too
  curl -s -o /dev/null --max-time 5 --unix-socket /run/connect.sock http://localhost/api/health
}

application_restart() { # a busy machine takes a while to start its processes
  systemctl restart connect
  patiently application_answers || patiently application_answers
}

as_application() { # as_application COMMAND...: as its user, in PM2's home
  (cd /opt/connect/shared/config && runuser -u connect -- env PM2_HOME=/home/connect/.pm2 "$@")
}

ENV_FILE=/opt/connect/shared/config/.env.production
ECOSYSTEM=/opt/connect/shared/config/ecosystem.config.js
UNIT_FILE=/etc/systemd/system/connect.service

ecosystem_line() { # ecosystem_line NAME VALUE: a setting or env.VARIABLE, in JavaScript
  keep "$ECOSYSTEM"
  NAME="${1#env.}" VALUE="$2" awk '
    match($0, /^ */) && index(substr($0, RLENGTH + 1), ENVIRON["NAME"] ": ") == 1 {
      $0 = substr($0, 1, RLENGTH) ENVIRON["NAME"] ": " ENVIRON["VALUE"] ","
    }
    { print }' "$ECOSYSTEM" >"$ECOSYSTEM.drift"
  ! cmp -s "$ECOSYSTEM" "$ECOSYSTEM.drift"
  cat "$ECOSYSTEM.drift" >"$ECOSYSTEM"
  rm "$ECOSYSTEM.drift"
}

# --- Prometheus ---

PROMETHEUS=/etc/prometheus/prometheus.yml
RULES=/etc/prometheus/rules/connect.yml
API=http://127.0.0.1:9090/api/v1

prometheus_edit() { # prometheus_edit SED: must change the file
  keep "$PROMETHEUS"
  sed "$1" "$PROMETHEUS" >"$PROMETHEUS.drift"
  ! cmp -s "$PROMETHEUS" "$PROMETHEUS.drift"
  cat "$PROMETHEUS.drift" >"$PROMETHEUS"
  rm "$PROMETHEUS.drift"
}

prometheus_loaded() { # when it last took its files in, in seconds of the epoch
  curl -s http://127.0.0.1:9090/metrics |
    sed -n 's/^prometheus_config_last_reload_success_timestamp_seconds //p'
}

prometheus_reload() { # until it has taken its files in, and evaluated every rule once more
  before=$(prometheus_loaded)
  sleep 1 # that time counts in whole seconds
  systemctl reload prometheus
  for tenth in $(seq 100); do
    [ "$(prometheus_loaded)" = "$before" ] || break
    sleep 0.1
  done
  [ "$(prometheus_loaded)" != "$before" ]
}

targets_known() { # Prometheus takes up another list of targets every five seconds
  prometheus_reload
  sleep 6
}

prometheus_sees() { # prometheus_sees QUERY: it has an answer
  curl -sG "$API/query" --data-urlencode "query=$1" | grep -qF '"result":[{'
}

alert_line() { # alert_line ALERT.WHAT VALUE: expr, for or severity of one alert
  keep "$RULES"
  ALERT="- alert: ${1%.*}" WHAT="${1##*.}: " VALUE="$2" awk '
    index($0, "- alert: ") { inside = (index($0, ENVIRON["ALERT"]) > 0) }
    inside && match($0, /^ */) && index(substr($0, RLENGTH + 1), ENVIRON["WHAT"]) == 1 {
      value = ENVIRON["VALUE"]
      if (ENVIRON["WHAT"] == "expr: ") value = "\047" value "\047"
      $0 = substr($0, 1, RLENGTH) ENVIRON["WHAT"] value
    }
    { print }' "$RULES" >"$RULES.drift"
  ! cmp -s "$RULES" "$RULES.drift"
  cat "$RULES.drift" >"$RULES"
  rm "$RULES.drift"
}

# --- dashboards ---

dashboard_file() { # of ID grafana-dashboard.System_Overview
  name=$(echo "${ID#*.}" | tr 'A-Z_' 'a-z-')
  echo "/opt/connect/monitoring/grafana-dashboards/$name.json"
}

dashboard() { # dashboard JQ: must change the file
  file=$(dashboard_file)
  keep "$file"
  jq "$1" "$file" >"$file.drift"
  ! cmp -s "$file" "$file.drift"
  cat "$file.drift" >"$file"
  rm "$file.drift"
}

# --- a Docker host ---

DOOR=/opt/connect/config/haproxy/haproxy.cfg
DATABASE_DOOR=/opt/connect/config/postgres/haproxy.cfg
COMPOSE=/opt/connect/docker-compose.production.yml
OVERRIDE=/opt/connect/drift.yml

edit() { # edit FILE SED: a line changes, and the file is kept
  keep "$1"
  sed "$2" "$1" >"$1.drift"
  ! cmp -s "$1" "$1.drift"
  cat "$1.drift" >"$1"
  rm "$1.drift"
}

door_says() { echo "$1" | socat -t 5 - /run/haproxy/admin.sock; }

door_knows() { # door_knows NAME: of itself: Pid, Uptime_sec
  known=$(door_says "show info" | sed -n "s/^$1: //p")
  [ -n "$known" ] && echo "$known"
}

door_is_another() { [ "$(door_knows Pid || echo "$1")" != "$1" ]; }

door_has_run() { [ "$(door_knows Uptime_sec)" -ge "$1" ]; } # door_has_run SECONDS

door_sees() { # door_sees COLOUR STATE: what its checks have found
  door_says "show stat" | grep -q "^connect,$1,.*,$2,"
}

door_reload() { # until a new worker has the socket
  before=$(door_knows Pid)
  docker exec haproxy kill -HUP 1 # after `docker kill` a crashed container is not started again
  patiently door_is_another "$before"
}

door_back() {
  back "$DOOR"
  door_reload
}

compose() { # as the platform was made; with whatever files are named before the command
  (cd /opt/connect && docker-compose "$@")
}

override() { # override SERVICE LINE...: its container anew, with lines of its own
  { printf 'services:\n  %s:\n' "$1"; shift; printf '    %s\n' "$@"; } >"$OVERRIDE"
}

overridden() { # overridden SERVICE
  compose -f "$COMPOSE" -f "$OVERRIDE" up -d --no-deps "$1" >/dev/null 2>&1
}

as_composed() { # as_composed SERVICE: as the compose file says
  rm -f "$OVERRIDE"
  compose -f "$COMPOSE" up -d --no-deps "$1" >/dev/null 2>&1
}

shown() { # shown CONTAINER FORMAT: what the engine says of it
  docker inspect --format "$2" "$1"
}

container_redis() { docker exec connect_redis redis-cli "$@"; }

both_colours_on_redis() { # each of them keeps a connection to it
  for colour in connect_app1 connect_app2; do
    address=$(shown "$colour" "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
    container_redis client list | grep -q "addr=$address:" || return 1
  done
}

container_sql() { # container_sql STATEMENT: as the application, at the primary
  docker exec connect_postgres psql -XAtq -v ON_ERROR_STOP=1 -U connect -d connect -c "$1"
}

secret_in_env() { sed -n "s/^$1=//p" /opt/connect/.env.production.local; }

in_net() { # in_net CONTAINER COMMAND...: in its network
  pid=$(shown "$1" '{{.State.Pid}}')
  shift
  nsenter --target "$pid" --net "$@"
}

database_answers() { [ "$(container_sql "SELECT 1" 2>/dev/null)" = 1 ]; }

database_does_not_answer() { ! docker exec connect_postgres pg_isready -q -U connect; }

member_is() { # member_is NODE WHAT VALUE: its role or state, as it says itself
  address=$(shown "$1" "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
  curl -fsS --max-time 3 "http://$address:8008/cluster" |
    jq -e --arg name "$1" --arg value "$3" ".members[] | select(.name == \$name and .$2 == \$value)"
}

receives_nothing() { # receives_nothing NODE: from the primary
  docker exec "$1" psql -XAtqU postgres -c "SELECT count(*) FROM pg_stat_wal_receiver" | grep -qx 0
}

ask_node() { docker exec "$1" patronictl -c /etc/patroni/patroni.yml "$2" --wait connect >/dev/null; }

replica_node() {
  for node in patroni1 patroni2; do
    [ "$(docker exec "$node" psql -XAtqU postgres -c 'SELECT pg_is_in_recovery()')" != t ] || echo "$node"
  done
}

DASHBOARD=/opt/connect/monitoring/grafana-dashboards/connect.json

dashboard_edit() { # dashboard_edit JQ: what becomes of the panel that shows KEY
  case "$KEY" in
    containers) title="Containers: CPU" ;;
    database) title="Database: connections" ;;
    redis) title="Redis: hit rate" ;;
    *) title=$(printf %s "$KEY" | sed 's/^./\U&/') ;;
  esac
  keep "$DASHBOARD"
  jq --arg title "$title" "$1" "$DASHBOARD" >"$DASHBOARD.drift"
  ! cmp -s "$DASHBOARD" "$DASHBOARD.drift"
  cat "$DASHBOARD.drift" >"$DASHBOARD"
  rm "$DASHBOARD.drift"
}
