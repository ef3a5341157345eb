# Sourced by scripts/lab: up, down, status, exec, and the file by which a lab is found again.
#
# The state file is a line a fact, written before what it tells of is made, so that `down` after a
# crash finds everything: work DIR, node NAME CORES MEMORY, assign TEXT, cpus HOSTS CLIENT, service NAME NODE PID, ready.

lab_work='' lab_ready='' lab_url=''

# One scripts/lab at a time changes the lab; file descriptor 9 holds the lock until we end.
lock_lab() {
  local tries
  for tries in 1 2 3; do
    mkdir -p -m 700 "$lab_home"
    exec 9>>"$lab_home/lock"
    flock -w 20 9 || die "another scripts/lab is at work: wait for it, or stop it"
    # Whoever held it before may have removed the folder.
    [ "$lab_home/lock" -ef /dev/fd/9 ] && return
  done
  die "$lab_home changes all the time: another scripts/lab is at work"
}

remember() { printf '%s\n' "$*" >>"$lab_state"; }

# Sets lab_work, lab_ready, nodes and homes to what the state file says; fails when there is none.
recall() {
  local kind first rest
  [ -f "$lab_state" ] || return 1
  nodes=() homes=() weights=()
  while read -r kind first rest; do
    case $kind in
      work) lab_work=$first ;;
      node)
        nodes+=("$first")
        node_cores[$first]=${rest% *} node_memory[$first]=${rest#* }
        ;;
      assign)
        local word
        for word in $first $rest; do assign "${word%%=*}" "${word#*=}"; done
        ;;
      cpus) host_cpus=$first client_cpus=$rest ;;
      ready) lab_ready=yes ;;
    esac
  done <"$lab_state"
  [ -z "${homes[nginx]:-}" ] || lab_url=https://$(address "${homes[nginx]}")
}

need_running() {
  recall && [ -n "$lab_ready" ] || die "no lab is up: scripts/lab up PLACEMENT"
}

lab_up() {
  [ $# -eq 1 ] || die "say where things live: scripts/lab up 'nginx=s1 web=s1:28,s2:72 api=s2 db=s3'"
  [[ $lab_jobs =~ ^(0|[1-9][0-9]?)$ ]] || die "LAB_JOBS is a number up to 99"
  read_placement "$1"
  find_programs
  lock_lab
  if recall; then
    [ -n "$lab_ready" ] || die "a lab that did not come up is in the way: scripts/lab down"
    die "a lab is up already ($(placement_text)): scripts/lab down"
  fi
  # What this machine's other work may take of the CPU must not show in the lab.
  renice -n -10 -p $$ >/dev/null 2>&1 || true
  trap 'undo_up $?' EXIT
  trap 'exit 130' INT TERM HUP
  lab_work=$(mktemp -u -d -t "$lab_prefix-lab.XXXXXXXX")
  remember "work $lab_work"
  local node
  for node in "${nodes[@]}"; do remember "node $node ${node_cores[$node]} ${node_memory[$node]}"; done
  remember "assign $(placement_text)"
  part_cpus
  remember "cpus $host_cpus $client_cpus"
  mkdir -m 700 "$lab_work"
  make_cgroups
  make_network
  start_services
  populate
  # Not before: to make tables and teams would take minutes within a quota.
  for node in "${nodes[@]}"; do limit_cpu "$node"; done
  remember ready
  trap - EXIT
  say "up: https://$(address "${homes[nginx]}") ($(placement_text))"
}

# The last thing of an `up` that failed: says so, and leaves nothing.
undo_up() {
  local code=$1
  trap - EXIT
  trap '' INT TERM HUP PIPE
  [ "$code" -eq 77 ] || say "did not come up, and is taken down again" || true
  if [ "$code" -ne 77 ] && [ -n "${LAB_KEEP_LOGS:-}" ] && [ -d "$lab_work" ]; then
    tail -n 20 "$lab_work"/*.log >&2 || true
  fi
  tear_down || true
  [ "$code" -ne 0 ] || code=2
  exit "$code"
}

lab_down() {
  lock_lab
  recall || true
  tear_down || die "some of the lab is left, see above"
  # That of a `measure` which was killed.
  [ ! -e "/run/c$lab_prefix-lab" ] || LAB_PREFIX=c$lab_prefix "$lab_root/scripts/lab" down
}

# Takes down whatever there is, in any state. Needs the lock, and nodes and lab_work as far as known.
tear_down() {
  local failed=0
  kill_processes
  remove_network "${nodes[@]}"
  remove_cgroups || failed=1
  if [[ $lab_work =~ /$lab_prefix-lab\.[A-Za-z0-9]{8}$ ]]; then rm -rf "$lab_work" || failed=1; fi
  [ "$failed" -eq 0 ] || return 1
  rm -rf "$lab_home"
}

# Their data go with them, so there is nothing that they should save.
kill_processes() {
  local tries pids
  for tries in $(seq 50); do
    pids=$({ cgroup_processes; namespace_processes "${nodes[@]}"; } | sort -un | grep -vx "$$" || true)
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086  # a list of numbers
    kill -KILL $pids 2>/dev/null || true
    sleep 0.1
  done
  say "processes that cannot be killed: ${pids//$'\n'/ }"
}

lab_status() {
  recall || { echo "no lab is up"; return; }
  [ -n "$lab_ready" ] || { echo "a lab that did not come up is left: scripts/lab down"; return; }
  echo "target   $lab_url"
  echo "assign   $(placement_text)"
  echo "work     $lab_work"
  local node kind service home pid state periods throttled
  for node in "${nodes[@]}"; do
    read_cpu "$node"
    read -r periods throttled < <(read_throttled "$node")
    echo "node     $node $(address "$node") ${node_cores[$node]} cores ${node_memory[$node]} MB:" \
      "$((cpu_us / 1000)) ms of CPU used, held back in $throttled of $periods periods"
  done
  while read -r kind service home pid; do
    [ "$kind" = service ] || continue
    read_cpu "$home/$service"
    kill -0 "$pid" 2>/dev/null && state=runs || state='has ended'
    echo "service  $service on $home: process $pid $state, $((cpu_us / 1000)) ms of CPU used"
  done < <(latest_services)
}

# The service lines of the state file; a service that was started anew has its last one.
latest_services() {
  awk '$1 == "service" { if (!(($2, $3) in last)) order[++n] = $2 SUBSEP $3; last[$2, $3] = $0 }
    END { for (i = 1; i <= n; i++) print last[order[i]] }' "$lab_state"
}

# Runs a command as if on a host: its network, its cgroup NODE/probe, and its own view of /sys, where
# the interfaces are, and its name.
lab_exec() {
  [ $# -ge 2 ] || die "say where and what: scripts/lab exec s1 COMMAND..."
  need_running
  local host=$1 group=$1/probe
  shift
  [ "$host" != client ] || group=client
  [[ " ${nodes[*]} client " == *" $host "* ]] || die "there is no node '$host': take ${nodes[*]} or client"
  enter_cgroup "$group"
  mkdir -p "$lab_work/cgroups"
  # shellcheck disable=SC2016  # expanded by the shell that is started
  exec nsenter --net="/run/netns/$(namespace "$host")" -- \
    unshare --mount --uts --propagation slave -- bash -c '
      set -e
      printf "%s\n" "$1" >/proc/sys/kernel/hostname
      mount --rbind /sys/fs/cgroup "$2"
      mount -t sysfs sysfs /sys
      mount --rbind "$2" /sys/fs/cgroup
      shift 2
      exec "$@"' - "$host" "$lab_work/cgroups" "$@"
}
