# Sourced by the benchmarks: one nginx worker on a free port, on the first CPU where there are two,
# that answers GET and POST to $url with a protobuf message of about 300 bytes.
# $nginx_more is further configuration of its server.
# Sets work, url, nginx and pin_client, and takes everything down at exit.

PATH="$PATH:/usr/sbin"
work=$(mktemp -d)
chmod 755 "$work"
nginx='' url=''

stop_nginx() {
  [ -z "$nginx" ] || kill "$nginx" 2>/dev/null || true
  [ -z "$nginx" ] || wait "$nginx" 2>/dev/null || true
  rm -rf "$work"
}
trap stop_nginx EXIT

pin_nginx=() pin_client=()
if command -v taskset >/dev/null && [ "$(nproc)" -ge 2 ]; then
  pin_nginx=(taskset -c 0) pin_client=(taskset -c $(($(nproc) - 1)))
fi

start_nginx() {
  {
    echo 'team { id: 7 name: "team-seven" score: 10.5 labels { key: "country" value: "jp" }'
    for n in 1 2 3 4 5 6 7 8 9 10; do
      echo "members { id: 7000$n name: \"member-number-$n\" role: ROLE_MEMBER }"
    done
    echo '}'
  } | protoc --encode=teams.v1.GetTeamResponse -I scenarios/teams teams.proto >"$work/team"

  # Below the ports that clients are given.
  local port=$((20000 + RANDOM % 12000))
  cat >"$work/nginx.conf" <<CONF
worker_processes 1;
daemon off;
master_process off;
pid $work/pid;
error_log $work/error.log;
events { worker_connections 20000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  open_file_cache max=16;
  client_body_temp_path $work/a; proxy_temp_path $work/b; fastcgi_temp_path $work/c;
  uwsgi_temp_path $work/d; scgi_temp_path $work/e;
  default_type application/vnd.google.protobuf;
  server {
    listen 127.0.0.1:$port backlog=4096;
    ${nginx_more:-}
    root $work;
    error_page 405 =200 \$uri;
  }
}
CONF
  "${pin_nginx[@]}" nginx -e "$work/error.log" -c "$work/nginx.conf" >"$work/nginx.out" 2>&1 &
  nginx=$!
  url=http://127.0.0.1:$port/team
  for _ in $(seq 50); do curl -s -o /dev/null "$url" && break; sleep 0.1; done
  curl -s -f -o /dev/null -X POST --data-binary x "$url" || {
    echo "bench: nginx does not serve: $(cat "$work/error.log" "$work/nginx.out")" >&2
    exit 2
  }
}
