# Sourced by scripts/lab: the services, each started in its host's network and its own cgroup.

isukit='' contest_target=''
web_port=9292 api_port=9293 db_port=3306

find_programs() {
  local folder command
  for folder in ${LAB_BIN:+"$LAB_BIN"} "$lab_root"/target/*/release "$lab_root/target/debug"; do
    if [ -x "$folder/isukit" ] && [ -x "$folder/contest-target" ]; then
      folder=$(cd "$folder" && pwd)
      isukit=$folder/isukit contest_target=$folder/contest-target
      break
    fi
    [ "$folder" != "${LAB_BIN:-}" ] || die "LAB_BIN=$LAB_BIN has no isukit and contest-target"
  done
  [ -n "$isukit" ] || die "there is no isukit or contest-target: run scripts/release"
  for command in mariadbd mariadb-install-db nginx openssl; do
    command -v "$command" >/dev/null || die "there is no $command: run scripts/setup"
  done
}

# Starts a command for good: in a host's network and a cgroup, with its output in a log. Sets pid.
#
# As a batch job: one that wakes up pushes no other off the CPU. A request that comes to one host is nothing to
# another, and each push costs both of them their caches.
spawn() {
  local host=$1 group=$2 log=$3 cpus=$host_cpus
  shift 3
  [ "$host" != client ] || cpus=$client_cpus
  (
    exec 9>&- </dev/null >>"$log" 2>&1
    trap - EXIT
    enter_cgroup "$group"
    cd /
    exec setsid chrt --batch 0 taskset --cpu-list "$cpus" nsenter --net="/run/netns/$(namespace "$host")" -- "$@"
  ) &
  pid=$!
  disown "$pid"
}

# Starts a service on a node and notes its process.
start_service() {
  local service=$1 node=$2
  shift 2
  spawn "$node" "$node/$service" "$lab_work/$service-$node.log" "$@"
  remember "service $service $node $pid"
}

# Says why a service is not there, with the end of its log.
did_not_start() {
  say "$1 on $2 does not start; the end of its log:"
  tail -n 8 "$lab_work/$1-$2.log" >&2 || true
  exit 2
}

start_services() {
  local node
  start_db "${homes[db]}"
  # The first web makes the tables, two at once would drop each other's.
  for node in ${homes[web]}; do start_portal web "$node"; done
  for node in ${homes[api]}; do start_portal api "$node"; done
  start_nginx "${homes[nginx]}"
}

start_db() {
  local node=$1 data=$lab_work/db password
  password=$(openssl rand -hex 16)
  printf 'mysql://lab:%s@%s:%d/contest' "$password" "$(address "$node")" "$db_port" >"$lab_work/database"
  {
    echo "CREATE DATABASE IF NOT EXISTS contest;"
    echo "CREATE USER IF NOT EXISTS 'lab'@'%' IDENTIFIED BY '$password';"
    echo "GRANT ALL ON *.* TO 'lab'@'%';"
  } >"$lab_work/init.sql"
  (
    exec 9>&- </dev/null >"$lab_work/db-install.log" 2>&1
    trap - EXIT
    enter_cgroup setup
    mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db \
      --user=root --datadir="$data" --tmpdir="$lab_work"
  ) || {
    say "mariadb-install-db failed:"
    tail -n 8 "$lab_work/db-install.log" >&2
    exit 2
  }
  start_service db "$node" mariadbd --no-defaults --user=root --datadir="$data" --tmpdir="$lab_work" \
    --socket="$lab_work/db.socket" --pid-file="$lab_work/db.pid" --init-file="$lab_work/init.sql" \
    --bind-address="$(address "$node")" --port="$db_port" --skip-name-resolve --skip-log-bin \
    --performance-schema=OFF --innodb-buffer-pool-size=32M --innodb-log-file-size=16M \
    --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-dump-at-shutdown=OFF \
    --innodb-buffer-pool-load-at-startup=OFF --max-connections=200
  wait_for_port "$node" "$db_port" "$pid" || did_not_start db "$node"
}

# Starts web or api, which talk to the database from their own host.
start_portal() {
  local role=$1 node=$2 port tries log
  port=$(port_of "$role") log=$lab_work/$role-$node.log
  : >"$log"
  # Sessions and teams in memory (the fix `cache`) are right with one web only.
  CONTEST_DATABASE=$(<"$lab_work/database") start_service "$role" "$node" \
    "$contest_target" --role "$role" --listen "$(address "$node"):$port" \
    --fix "${LAB_FIX:-index,nplus1}" --db-threads 16
  for tries in $(seq 600); do
    ! grep -q '^listening on' "$log" || return 0
    kill -0 "$pid" 2>/dev/null || did_not_start "$role" "$node"
    sleep 0.1
  done
  did_not_start "$role" "$node"
}

port_of() {
  case $1 in
    web) echo "$web_port" ;;
    api) echo "$api_port" ;;
    db) echo "$db_port" ;;
    nginx) echo 443 ;;
  esac
}

start_nginx() {
  local node=$1
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj "/CN=$(address "$node")" -addext "subjectAltName=IP:$(address "$node")" \
    -keyout "$lab_work/key.pem" -out "$lab_work/cert.pem" 2>"$lab_work/openssl.log" ||
    die "openssl makes no certificate: $(tail -n 1 "$lab_work/openssl.log")"
  nginx_conf "$node" >"$lab_work/nginx.conf"
  start_service nginx "$node" nginx -e "$lab_work/nginx-$node.log" -c "$lab_work/nginx.conf"
  wait_for_port "$node" 443 "$pid" || did_not_start nginx "$node"
}

# An upstream with the placement's weights.
upstream() {
  local service=$1 node
  echo "  upstream $service {"
  for node in ${homes[$service]}; do
    echo "    server $(address "$node"):$(port_of "$service") weight=${weights["$service $node"]} max_fails=0;"
  done
  echo "    keepalive 64;"
  echo "    keepalive_requests 1000000000;"
  echo "  }"
}

nginx_conf() {
  cat <<CONF
worker_processes 1;
daemon off;
user root;
pid $lab_work/nginx.pid;
error_log $lab_work/nginx-$1.log;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 300;
  client_body_temp_path $lab_work/nginx-body; proxy_temp_path $lab_work/nginx-proxy;
  fastcgi_temp_path $lab_work/nginx-a; uwsgi_temp_path $lab_work/nginx-b; scgi_temp_path $lab_work/nginx-c;
  types { text/html html; text/css css; text/javascript js; image/svg+xml svg; }
$(upstream web)
$(upstream api)
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host \$host;
  server {
    listen $(address "$1"):443 ssl backlog=4096;
    ssl_certificate $lab_work/cert.pem;
    ssl_certificate_key $lab_work/key.pem;
    root $lab_root/scenarios/contest/public;
    location / { index index.html; }
    location /api/ { proxy_pass http://web; }
    location = /initialize { proxy_pass http://web; }
    location /worker/ { proxy_pass http://api; }
  }
}
CONF
}
