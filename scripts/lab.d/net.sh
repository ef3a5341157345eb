# Sourced by scripts/lab: hosts as network namespaces, joined by a bridge in a namespace of its own.
# Nothing of this machine's own network is touched.

lab_subnet=10.213.0

namespace() { printf '%s-%s\n' "$lab_prefix" "$1"; }

# The address of a node, or of the client.
address() {
  local at
  [ "$1" != client ] || { printf '%s.100\n' "$lab_subnet"; return; }
  for at in "${!nodes[@]}"; do
    [ "${nodes[at]}" != "$1" ] || printf '%s.%d\n' "$lab_subnet" "$((at + 1))"
  done
}

make_network() {
  local host net
  net=$(namespace net)
  ip netns add "$net" 2>/dev/null || {
    skip "network namespaces cannot be made here"
  }
  ip -n "$net" link add bridge type bridge
  ip -n "$net" link set bridge up
  for host in "${nodes[@]}" client; do
    ip netns add "$(namespace "$host")"
    ip -n "$net" link add "$host" type veth peer name eth0 netns "$(namespace "$host")"
    ip -n "$net" link set "$host" master bridge up
    ip -n "$(namespace "$host")" address add "$(address "$host")/24" dev eth0
    ip -n "$(namespace "$host")" link set lo up
    ip -n "$(namespace "$host")" link set eth0 up
    plain_tcp "$(namespace "$host")"
  done
  plain_bridge "$net"
}

# What this machine has set for its own network is not for the hosts: a sender that spreads its packets by
# a clock is woken for each, and takes the waits of a throttled receiver for a slow line. Reno is what every
# namespace may have.
plain_tcp() {
  write_net "$1" net/ipv4/tcp_congestion_control reno || say "TCP in $1 keeps this machine's congestion control"
}

# No packet that a switch hands on takes the way through the firewall of the switch.
plain_bridge() {
  local family
  for family in ip ip6 arp; do
    ! nsenter --net="/run/netns/$1" test -e "/proc/sys/net/bridge/bridge-nf-call-${family}tables" ||
      write_net "$1" "net/bridge/bridge-nf-call-${family}tables" 0 || say "the bridge asks its firewall for $family"
  done
}

# Sets what a network namespace has of its own below /proc/sys.
write_net() {
  # shellcheck disable=SC2016  # expanded by the shell that is started
  nsenter --net="/run/netns/$1" bash -c 'printf "%s\n" "$2" >"/proc/sys/$1"' - "$2" "$3" 2>/dev/null
}

remove_network() {
  local host name
  for host in net client "$@"; do
    name=$(namespace "$host")
    [ ! -e "/run/netns/$name" ] || ip netns delete "$name" || say "namespace $name cannot be removed"
  done
}

# Every process in the lab's namespaces, one a line.
namespace_processes() {
  local host name
  for host in net client "$@"; do
    name=$(namespace "$host")
    [ ! -e "/run/netns/$name" ] || ip netns pids "$name" 2>/dev/null || true
  done
}

# Runs a command in a host's network, and nothing else of it.
in_net() {
  local host=$1
  shift
  nsenter --net="/run/netns/$(namespace "$host")" -- "$@"
}

# Waits until a process listens there; gives up when it has ended, or after 60 s.
wait_for_port() {
  local host=$1 port=$2 process=$3 tries
  for tries in $(seq 300); do
    kill -0 "$process" 2>/dev/null || return 1
    in_net "$host" bash -c 'exec 3<>"/dev/tcp/$1/$2"' - "$(address "$host")" "$port" 2>/dev/null && return
    sleep 0.2
  done
  return 1
}
