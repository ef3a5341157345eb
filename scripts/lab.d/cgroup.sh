# Sourced by scripts/lab: the tree of cgroups PREFIX-lab/NODE/SERVICE, in version 1 or 2.
#
# A node carries quota and limit, each service below it is counted apart. In version 1 every
# controller has a tree of its own; a version 2 tree without controllers beside them is kept as well,
# as it counts pressure.

cgroup_version='' cgroup_trees=()
host_cpus='' client_cpus=''
lab_group=$lab_prefix-lab

# Which version can be written; a skip when none can.
find_cgroups() {
  local mount=/sys/fs/cgroup tree
  if grep -qw cpu "$mount/cgroup.controllers" 2>/dev/null && grep -qw memory "$mount/cgroup.controllers"; then
    cgroup_version=2 cgroup_trees=("$mount")
  elif [ -e "$mount/cpu/cgroup.procs" ] && [ -e "$mount/memory/cgroup.procs" ]; then
    cgroup_version=1 cgroup_trees=("$mount/cpu" "$mount/memory")
    for tree in cpuacct unified; do
      [ ! -e "$mount/$tree/cgroup.procs" ] || [ "$mount/$tree" -ef "$mount/cpu" ] || cgroup_trees+=("$mount/$tree")
    done
  else
    skip "no cgroup controllers for cpu and memory below $mount"
  fi
}

make_cgroups() {
  local tree node service
  for tree in "${cgroup_trees[@]}"; do
    mkdir "$tree/$lab_group" 2>/dev/null || skip "$tree cannot be written"
  done
  if [ "$cgroup_version" = 2 ]; then
    # Children have the controllers that their parent hands down.
    printf '+cpu +memory\n' 2>/dev/null >"${cgroup_trees[0]}/cgroup.subtree_control" ||
      skip "the controllers cpu and memory cannot be handed down in ${cgroup_trees[0]}"
    printf '+cpu +memory\n' >"${cgroup_trees[0]}/$lab_group/cgroup.subtree_control"
  fi
  prefer_lab
  make_idle
  make_group setup
  make_group client
  for node in "${nodes[@]}"; do
    make_group "$node"
    [ "$cgroup_version" = 1 ] || printf '+cpu +memory\n' >"${cgroup_trees[0]}/$lab_group/$node/cgroup.subtree_control"
    limit_memory "$node"
    make_group "$node/probe"
    for service in "${services[@]}"; do
      [[ " ${homes[$service]} " != *" $node "* ]] || make_group "$node/$service"
    done
  done
}

make_group() {
  local tree
  for tree in "${cgroup_trees[@]}"; do mkdir "$tree/$lab_group/$1"; done
}

# The quotas are the limit, not what else this machine does: the lab as a whole comes first.
prefer_lab() {
  if [ "$cgroup_version" = 2 ]; then
    printf '10000\n' >"${cgroup_trees[0]}/$lab_group/cpu.weight"
  else
    printf '100000\n' >"${cgroup_trees[0]}/$lab_group/cpu.shares"
  fi
}

# A group for what runs only while nobody else wants to. Beside the lab's, whose share of the CPU it would have, and
# idle as a whole: what is in a group that is not runs before whoever wakes up in another.
make_idle() {
  local group=${cgroup_trees[0]}/$lab_prefix-idle
  mkdir "$group"
  # Older kernels than 5.15 have none.
  [ ! -e "$group/cpu.idle" ] || printf '1\n' >"$group/cpu.idle"
}

enter_idle() { printf '%s\n' "$BASHPID" >"${cgroup_trees[0]}/$lab_prefix-idle/cgroup.procs"; }

limit_memory() {
  local bytes=$((${node_memory[$1]} * 1024 * 1024))
  if [ "$cgroup_version" = 2 ]; then
    printf '%s\n' "$bytes" >"${cgroup_trees[0]}/$lab_group/$1/memory.max"
  else
    printf '%s\n' "$bytes" >"${cgroup_trees[1]}/$lab_group/$1/memory.limit_in_bytes"
  fi
}

# A short period keeps the waits of a throttled host short, but each begins with cold caches, and much
# shorter ones are below the scheduler's own steps of 4 to 5 ms.
limit_cpu() {
  local node=$1 period=$((${LAB_PERIOD_MS:-100} * 1000)) quota
  quota=$(awk -v c="${node_cores[$node]}" -v p="$period" 'BEGIN { printf "%.0f", c * p }')
  if [ "$cgroup_version" = 2 ]; then
    printf '%s %s\n' "$quota" "$period" >"${cgroup_trees[0]}/$lab_group/$node/cpu.max"
  else
    printf '%s\n' "$period" >"${cgroup_trees[0]}/$lab_group/$node/cpu.cfs_period_us"
    printf '%s\n' "$quota" >"${cgroup_trees[0]}/$lab_group/$node/cpu.cfs_quota_us"
  fi
}

# Sets host_cpus and client_cpus, lists as taskset takes them. Where the hosts fit on all CPUs but one, that one is
# for the load and for what measures it. The hosts have as few CPUs as they fit on: to wake a service on another
# CPU costs more, by how busy that is, which is nothing that hosts of their own have.
part_cpus() {
  local part wanted node cpus=()
  while read -r part; do
    mapfile -t -O "${#cpus[@]}" cpus < <(seq "${part%-*}" "${part#*-}")
  done < <(taskset --cpu-list --pid "$BASHPID" | awk -F': ' '{ gsub(",", "\n", $2); print $2 }')
  # A tenth is left for what the kernel does beside.
  wanted=$(for node in "${nodes[@]}"; do echo "${node_cores[$node]}"; done |
    awk '{ sum += $1 } END { sum = sum / 0.9 - 1e-9; print int(sum) + (sum > int(sum)) }')
  if [ "$wanted" -lt "${#cpus[@]}" ]; then
    client_cpus=${cpus[0]}
    host_cpus=$(printf '%s,' "${cpus[@]:1:wanted}")
  else
    say "the hosts want $wanted CPUs, and with the load there are ${#cpus[@]}: they disturb each other"
    client_cpus=$(printf '%s,' "${cpus[@]}")
    host_cpus=$client_cpus
  fi
  host_cpus=${host_cpus%,} client_cpus=${client_cpus%,}
}

# Moves this very process, and with it what it starts from now on.
enter_cgroup() {
  local tree
  for tree in "${cgroup_trees[@]}"; do
    printf '%s\n' "$BASHPID" >"$tree/$lab_group/$1/cgroup.procs"
  done
}

# Sets cpu_us to the CPU that a group has used, in microseconds; no process is started for it.
read_cpu() {
  local nanos key value
  cpu_us=0
  if [ "$cgroup_version" = 2 ]; then
    while read -r key value; do
      if [ "$key" = usage_usec ]; then cpu_us=$value; fi
    done <"${cgroup_trees[0]}/$lab_group/$1/cpu.stat"
  else
    read -r nanos <"/sys/fs/cgroup/cpuacct/$lab_group/$1/cpuacct.usage"
    cpu_us=$((nanos / 1000))
  fi
}

# How often and how long a node was held back: "PERIODS THROTTLED".
read_throttled() {
  awk '$1 == "nr_periods" { p = $2 } $1 == "nr_throttled" { t = $2 } END { print p + 0, t + 0 }' \
    "${cgroup_trees[0]}/$lab_group/$1/cpu.stat"
}

# Every process in the tree, one a line.
cgroup_processes() {
  local tree
  for tree in "${cgroup_trees[@]}"; do
    [ ! -d "$tree/$lab_group" ] || find "$tree/$lab_group" -name cgroup.procs -exec cat {} + 2>/dev/null
  done | sort -un
}

remove_cgroups() {
  local tree failed=0
  # Whatever computes in the idle group ends by itself when its scripts/lab is gone.
  remove_group "${cgroup_trees[0]}/$lab_prefix-idle" || failed=1
  for tree in "${cgroup_trees[@]}"; do
    remove_group "$tree/$lab_group" || failed=1
  done
  return "$failed"
}

# Removes a cgroup with all below, once its processes are gone; one that was killed is counted until then.
remove_group() {
  local group=$1 tries
  for tries in $(seq 50); do
    [ -d "$group" ] || return 0
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    [ ! -d "$group" ] || sleep 0.1
  done
  [ -d "$group" ] || return 0
  say "$group cannot be removed: $(find "$group" -name cgroup.procs -exec cat {} + | tr '\n' ' ')"
  return 1
}
