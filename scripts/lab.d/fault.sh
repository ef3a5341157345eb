# Sourced by scripts/lab: ways of being ill that `isukit probe --check` should find.
#
# What has to go on while the fault lasts is done by helpers in the client's cgroup; their processes
# are in the state file, as is what has to be put back.

lab_fault() {
  need_running
  local kind=${1:-} where=${2:-}
  [ $# -eq 2 ] || [ "$*" = clear ] || die "say what and where: scripts/lab fault mtu s3, files web, listen api, or clear"
  lock_lab
  case $kind in
    mtu)
      [[ " ${nodes[*]} " == *" $where "* ]] || die "there is no node '$where': take ${nodes[*]}"
      fault_mtu "$where"
      ;;
    files | listen)
      [ "$where" = web ] || [ "$where" = api ] || die "this fault is for web or api, not '$where'"
      "fault_$kind" "$where" "${homes[$where]%% *}"
      ;;
    clear) fault_clear ;;
    *) die "there is no fault '$kind': take mtu, files, listen or clear" ;;
  esac
}

# The process of a service on a node.
process_of() { latest_services | awk -v s="$1" -v n="$2" '$2 == s && $3 == n { print $4 }'; }

# A black hole: the host believes that its link takes 9,000 bytes, the link takes 1,500, and whatever
# is larger vanishes without a word. Connections are told beforehand what the other end takes, so the
# others offer the host as much as it wants: new connections to it stall on the first large reply,
# those that are open go on.
fault_mtu() {
  local node=$1 other name
  name=$(namespace "$node")
  remember "fault mtu $node"
  ip -n "$name" link set eth0 mtu 9000
  # The kernel would cut large writes at the last moment, and so hide what the host believes.
  ip -n "$name" link set eth0 gso_max_segs 1
  for other in "${nodes[@]}" client; do
    [ "$other" = "$node" ] || set_route "$other" advmss 8960
  done
  say "$node sends packets of up to 9000 bytes over a link that drops all above 1500"
}

set_route() {
  local host=$1
  shift
  ip -n "$(namespace "$host")" route replace "$lab_subnet.0/24" dev eth0 proto kernel scope link \
    src "$(address "$host")" "$@"
}

# A process with 85% of its files open: a low soft limit, and connections on which nothing comes.
fault_files() {
  local service=$1 node=$2 process limit=64
  process=$(process_of "$service" "$node")
  remember "fault files $process $(prlimit --pid "$process" --nofile --noheadings --output=SOFT | tr -d ' ')"
  prlimit --pid "$process" --nofile="$limit:"
  spawn client client "$lab_work/fault.log" bash -c '
    address=$1 port=$2 process=$3 wanted=$4 connections=()
    open_files() {
      local files=("/proc/$process/fd/"*)
      [ ${#files[@]} -ge "$wanted" ]
    }
    while kill -0 "$process"; do
      exec {one}<>"/dev/tcp/$address/$port"
      connections+=("$one")
      # The portal needs a moment to accept it.
      sleep 0.05
      # When it is enough: one new for the oldest, before the portal closes that as idle.
      if open_files || [ ${#connections[@]} -ge "$wanted" ]; then
        sleep 1
        one=${connections[0]}
        exec {one}>&-
        connections=("${connections[@]:1}")
      fi
    done' - "$(address "$node")" "$(port_of "$service")" "$process" $((limit * 85 / 100 + 1))
  remember "fault helper $pid"
  say "$service on $node has at least 85% of its $limit files open"
}

# A listener that does not keep up: a queue of one, and bursts of connections while it stands still.
fault_listen() {
  find_programs
  local service=$1 node=$2 process
  process=$(process_of "$service" "$node")
  kill -KILL "$process" 2>/dev/null || true
  in_net "$node" sh -c 'echo 1 >/proc/sys/net/core/somaxconn'
  start_portal "$service" "$node"
  in_net "$node" sh -c 'echo 4096 >/proc/sys/net/core/somaxconn'
  process=$pid
  remember "fault listen $process"
  spawn client client "$lab_work/fault.log" bash -c '
    url=http://$1:$2/ process=$3
    while kill -STOP "$process"; do
      curl --silent --output /dev/null --parallel --parallel-immediate --parallel-max 20 --max-time 0.6 "$url[1-20]"
      kill -CONT "$process"
      sleep 0.2
    done' - "$(address "$node")" "$(port_of "$service")" "$process"
  remember "fault helper $pid"
  say "$service on $node does not keep up with its connections"
}

# Puts back what the faults have changed. A listener keeps its short queue until it is started anew.
fault_clear() {
  local kind what first rest host
  while read -r kind what first rest; do
    [ "$kind" = fault ] || continue
    case $what in
      helper) kill -KILL -- "-$first" 2>/dev/null || true ;;
      listen) kill -CONT "$first" 2>/dev/null || true ;;
      files) prlimit --pid "$first" --nofile="$rest:" 2>/dev/null || true ;;
      mtu)
        ip -n "$(namespace "$first")" link set eth0 mtu 1500
        ip -n "$(namespace "$first")" link set eth0 gso_max_segs 65535
        for host in "${nodes[@]}" client; do set_route "$host"; done
        ;;
    esac
  done < <(grep '^fault' "$lab_state")
  sed -i '/^fault/d' "$lab_state"
  say "no faults any more"
}
