# Sourced by scripts/lab: the load, from the client's network and outside all quotas.

lab_run() {
  need_running
  find_programs
  if [ "${1:-}" = --contest ]; then
    shift
    run_in_client "$isukit" run "$lab_root/scenarios/contest" --target "$lab_url" --cacert "$lab_work/cert.pem" "$@"
    return
  fi
  local seconds=20 warmup=6 users=48 out=$lab_work/run
  while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1 wants a value: see scripts/lab --help"
    case $1 in
      --duration) seconds=${2%s} ;;
      --warmup) warmup=${2%s} ;;
      --users) users=$2 ;;
      --out) out=$2 ;;
      *) die "there is no option '$1': see scripts/lab --help" ;;
    esac
    shift 2
  done
  [[ $seconds =~ ^[1-9][0-9]{0,3}$ && $warmup =~ ^[0-9]{1,3}$ ]] || die "--duration and --warmup are whole seconds"
  [[ $users =~ ^[1-9][0-9]{0,3}$ ]] || die "--users is a number up to 9999"
  rm -rf "$out"
  mkdir -p "$out"
  load "$seconds" "$warmup" "$users" "$out"
  show_load "$out"
}

# Runs a command in the client's network and cgroup, in a shell of its own that goes with it.
run_in_client() (
  exec 9>&-
  trap - EXIT
  enter_cgroup client
  exec nsenter --net="/run/netns/$(namespace client)" -- "$@"
)

# Loads the lab and notes meanwhile what each service uses.
#
# OUT has then run.json and events of isukit, cpu (lines of: time in us, group, CPU in us) and
# window: `from` and `to` in unix microseconds, behind the warm-up and before the end.
load() {
  local seconds=$1 warmup=$2 users=$3 out=$4 code=0 loader
  make_scenario "$out/scenario" "$((seconds + warmup + 2))" "$users"
  run_in_client "$isukit" run "$out/scenario" --target "$lab_url" --cacert "$lab_work/cert.pem" \
    --threads 1 --seed "$RANDOM" --timeout 30s --events "$out/events" --format json \
    --output "$out/run.json" >"$out/run.log" 2>&1 &
  loader=$!
  while kill -0 "$loader" 2>/dev/null; do
    sample_cpu >>"$out/cpu"
    sleep 0.25
  done
  wait "$loader" || code=$?
  [ -s "$out/run.json" ] || die "the load failed: $(tail -n 3 "$out/run.log")"
  [ "$code" -le 1 ] || die "the load failed with exit code $code: $(tail -n 3 "$out/run.log")"
  find_window "$seconds" "$warmup" "$out"
}

make_scenario() {
  local folder=$1 seconds=$2 users=$3
  mkdir "$folder"
  cp "$lab_parts/load/scenario.luau" "$lab_root/scenarios/contest/contest.proto" "$folder"
  { echo name; seq -f 'lab-%.0f' "$users"; } >"$folder/users.csv"
  cat >"$folder/scenario.toml" <<TOML
[proto]
error = "contest.v1.Error"

[feeds]
users = "users.csv"

[[phase]]
name = "prepare"
run = "prepare"
time_limit = "5m"

[[phase]]
name = "load"
duration = "${seconds}s"
drain = "30s"

[phase.users.user]
users = $users
TOML
}

# A line for each service and node: time, group, CPU used, all in microseconds.
sample_cpu() {
  local node service
  for node in "${nodes[@]}"; do
    read_cpu "$node"
    printf '%s %s %s\n' "${EPOCHREALTIME/./}" "$node" "$cpu_us"
  done
  for service in "${services[@]}"; do
    for node in ${homes[$service]}; do
      read_cpu "$node/$service"
      printf '%s %s %s\n' "${EPOCHREALTIME/./}" "$node/$service" "$cpu_us"
    done
  done
}

# What is measured lies behind the warm-up: then the bottleneck's queue is full, connections are open,
# and each request that ends has been preceded by as much work as it leaves behind.
find_window() {
  local seconds=$1 warmup=$2 out=$3
  awk -v warmup="$warmup" -v seconds="$seconds" -F'[:,]' '
    /"duration_s":/ && !prepared { prepared = $2 }
    /"started_unix_us":/ { started = $2 }
    END {
      from = started + (prepared + warmup) * 1e6
      printf "%.0f %.0f\n", from, from + seconds * 1e6
    }' "$out/run.json" >"$out/window"
}

# Writes OUT/demand: `rps X`, `errors N`, and for each service and node its CPU: `service NAME MS`
# in milliseconds a request, `node NAME SHARE` of its cores.
count_demand() {
  local out=$1 node
  for node in "${nodes[@]}"; do printf 'cores %s %s\n' "$node" "${node_cores[$node]}"; done >"$out/cores"
  awk -f "$lab_parts/demand.awk" "$out/window" "$out/cores" "$out/cpu" "$out/events" >"$out/demand"
}

show_load() {
  local out=$1
  count_demand "$out"
  awk '
    $1 == "rps" { printf "%.1f requests/s\n", $2 }
    $1 == "errors" { printf "%d errors\n", $2; failed = $2 > 0 }
    $1 == "service" { printf "%-8s %.3f ms of CPU a request\n", $2, $3 }
    $1 == "node" { printf "%-8s %3.0f%% of its cores\n", $2, $3 * 100 }
    END { exit failed }' "$out/demand"
}
