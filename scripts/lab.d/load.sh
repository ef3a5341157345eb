# Sourced by scripts/lab: the load, from the client's network and outside all quotas.

# The processes of keep_awake and of the probes.
helpers=()
# Teams on the board, and jobs that each of them has finished.
lab_teams=250 lab_jobs=${LAB_JOBS:-24}

lab_run() {
  need_running
  find_programs
  # And with us all that is started here.
  taskset --cpu-list --pid "$client_cpus" $$ >/dev/null
  if [ "${1:-}" = --contest ]; then
    shift
    become_client "$isukit" run "$lab_root/scenarios/contest" --target "$lab_url" --cacert "$lab_work/cert.pem" "$@"
  fi
  local seconds=20 warmup=6 users=64 out=$lab_work/run probed=
  while [ $# -gt 0 ]; do
    if [ "$1" = --probe ]; then
      probed=yes
      shift
      continue
    fi
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
  check_load "$seconds" "$warmup" "$users"
  rm -rf "$out"
  mkdir -p "$out"
  load "$seconds" "$warmup" "$users" "$out" "$probed"
  show_load "$out"
}

check_load() {
  [[ $1 =~ ^[1-9][0-9]{0,3}$ && $2 =~ ^[0-9]{1,3}$ ]] || die "--duration and --warmup are whole seconds"
  [[ $3 =~ ^[1-9][0-9]{0,3}$ && $3 -le $lab_teams ]] || die "--users is a number up to $lab_teams, one a team"
}

# Probes every node from within while the load goes on, into OUT/NODE.jsonl.
probe_nodes() {
  local out=$1 node service watched
  for node in "${nodes[@]}"; do
    watched=()
    for service in "${services[@]}"; do
      [[ " ${homes[$service]} " != *" $node "* ]] ||
        watched+=(--service "$service=cgroup:/$lab_group/$node/$service")
    done
    # One that watches nothing would look for services by itself.
    [ ${#watched[@]} -gt 0 ] || watched=(--service "none=cgroup:/$lab_group/$node/none")
    (lab_exec "$node" "$isukit" probe --interval 1s --format json "${watched[@]}" \
      >"$out/$node.jsonl" 2>"$out/$node.log" </dev/null) &
    helpers+=("$!")
  done
}

# Becomes a command in the client's network and cgroup: for a shell of its own.
become_client() {
  exec 9>&-
  trap - EXIT
  enter_cgroup client
  exec nsenter --net="/run/netns/$(namespace client)" -- "$@"
}

# Loads the lab and notes meanwhile what each service uses.
#
# OUT has then run.json and events of isukit, cpu (lines of: time in us, group, CPU in us) and
# window: `from` and `to` in unix microseconds, behind the warm-up and before the end.
load() {
  local seconds=$1 warmup=$2 users=$3 out=$4 probed=$5 code=0 loader=''
  trap '[ -z "$loader" ] || kill -KILL "$loader" 2>/dev/null; end_helpers; exit 130' INT TERM HUP
  keep_awake "$out"
  [ -z "$probed" ] || probe_nodes "$out"
  # All teams are there already, with their jobs.
  make_scenario "$out/scenario" "$((seconds + warmup + 2))" "$users" 0
  become_client "$isukit" run "$out/scenario" --target "$lab_url" --cacert "$lab_work/cert.pem" \
    --threads 1 --seed "$RANDOM" --timeout 30s --events "$out/events" --format json \
    --output "$out/run.json" >"$out/run.log" 2>&1 &
  loader=$!
  while kill -0 "$loader" 2>/dev/null; do
    sample_cpu >>"$out/cpu"
    sleep 0.25
  done
  wait "$loader" || code=$?
  end_helpers
  trap - INT TERM HUP
  cat "$out"/awake-* >>"$out/cpu"
  [ -s "$out/run.json" ] || die "the load failed: $(tail -n 3 "$out/run.log")"
  [ "$code" -le 1 ] || die "the load failed with exit code $code: $(tail -n 3 "$out/run.log")"
  ! grep -q '"result": "skipped"' "$out/run.json" || die "nothing was loaded: $(failures "$out/run.json")"
  find_window "$seconds" "$warmup" "$out"
}

# Keeps the CPUs from falling asleep, with loops that run only while nobody else wants to. A host that
# is held back sleeps most of the time, and to wake a CPU, a virtual one above all, costs whoever wakes
# it: the same request would be dearer the smaller its host is and the less else the machine does.
#
# The loops count their rounds and what these take of the CPU, into OUT/awake-CPU: that says how fast this machine is
# just now, whenever a host is held back. A virtual one is slower by half while a neighbour computes on the
# same core.
keep_awake() {
  local out=$1 cpu of
  for cpu in $(printf '%s\n' ${host_cpus//,/ } ${client_cpus//,/ } | sort -un); do
    of=client
    [[ ,$host_cpus, != *,$cpu,* ]] || of=hosts
    (
      exec 9>&- </dev/null >"$out/awake-$cpu" 2>/dev/null
      trap - EXIT
      enter_idle
      taskset --cpu-list --pid "$cpu" "$BASHPID" >/dev/null
      chrt --idle --pid 0 "$BASHPID"
      rounds=0
      while kill -0 $$; do
        for ((step = 0; step < 5000; step++)); do :; done
        rounds=$((rounds + 1))
        read -r line </proc/self/stat
        # Behind the name, which may have anything in it, fields 14 and 15 of the file: ticks in either mode.
        read -ra fields <<<"${line##*) }"
        printf '%s rounds-%s-%d %d\n%s spent-%s-%d %d\n' "${EPOCHREALTIME/./}" "$of" "$cpu" "$rounds" \
          "${EPOCHREALTIME/./}" "$of" "$cpu" "$((fields[11] + fields[12]))"
      done
    ) &
    helpers+=("$!")
  done
}

# The helpers would end with us in any case, but a run need not be the last thing that we do.
end_helpers() {
  local process
  for process in "${helpers[@]}"; do
    kill -KILL "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
  helpers=()
}

# Fills the board, before any quota holds: a dashboard that has much to count costs computing, where a
# small one costs little but the waking of processes, which depends on what else goes on. With 24 jobs
# a team a request is 7 to 8 ms of CPU on the whole.
populate() {
  local report=$lab_work/populate.json
  make_scenario "$lab_work/populate" 0 "$lab_teams" "$lab_jobs"
  (become_client "$isukit" run "$lab_work/populate" --target "https://$(address "${homes[nginx]}")" \
    --cacert "$lab_work/cert.pem" --threads 1 --timeout 30s --format json --output "$report" \
    >"$lab_work/populate.log" 2>&1) ||
    die "the teams and their jobs cannot be made: $(failures "$report" || tail -n 3 "$lab_work/populate.log")"
}

# What failed first in the phases of a run, from its report.
failures() {
  [ -s "$1" ] || return 1
  awk '/"phases": \[/ { phases = 1 } phases && /"failures": \[$/ { getline; print; found = 1; exit }
    END { exit !found }' "$1"
}

# A scenario folder of users who load for so long, or with 0 seconds: who are only made, and whose teams finish
# so many jobs.
make_scenario() {
  local folder=$1 seconds=$2 users=$3 jobs=$4
  mkdir "$folder"
  cp "$lab_parts/load/scenario.luau" "$lab_root/scenarios/contest/contest.proto" "$folder"
  { echo name,jobs; seq -f "lab-%.0f,$jobs" "$users"; } >"$folder/users.csv"
  cat >"$folder/scenario.toml" <<TOML
[proto]
error = "contest.v1.Error"

[feeds]
users = "users.csv"

[[phase]]
name = "prepare"
run = "prepare"
time_limit = "$((300 + users * jobs / 20))s"
TOML
  [ "$seconds" -gt 0 ] || return 0
  cat >>"$folder/scenario.toml" <<TOML

[[phase]]
name = "load"
duration = "${seconds}s"
drain = "30s"

[phase.users.user]
users = $users
TOML
}

# A line for each service and node, and for the load generator: time, group, CPU used, all in microseconds.
sample_cpu() {
  local node service
  read_cpu client
  printf '%s client %s\n' "${EPOCHREALTIME/./}" "$cpu_us"
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
    /"started_unix_us":/ { from = $2 + warmup * 1e6; printf "%.0f %.0f\n", from, from + seconds * 1e6; exit }
  ' "$out/run.json" >"$out/window"
}

# Writes OUT/demand: `rps X`, `errors N`; for each service, and the load generator, its CPU in
# milliseconds a request: `service NAME MS`, `client MS`; for each node `node NAME SHARE` of its cores; and
# `speed N`, that of the hosts' CPUs: rounds of keep_awake's loops a second.
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
    $1 == "client" { printf "%-8s %.3f ms of CPU a request\n", $1, $2 }
    $1 == "speed" { printf "%-8s %.1f, for comparing runs\n", $1, $2 }
    END { exit failed }' "$out/demand"
}
