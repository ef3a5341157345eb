# Sourced by scripts/lab: which host has what, and which service lives where.
#
# Sets nodes (names in order), node_cores, node_memory (MB), homes (service -> nodes) and
# weights ("SERVICE NODE" -> weight).

services=(nginx web api db)
nodes=()
declare -A node_cores node_memory homes weights

default_nodes() {
  nodes=(s1 s2 s3)
  node_cores=([s1]=0.2 [s2]=0.2 [s3]=0.5)
  node_memory=([s1]=512 [s2]=1024 [s3]=512)
}

# Reads a placement: a file, or text such as 'nginx=s1 web=s1:28,s2:72 api=s2 db=s3'.
read_placement() {
  local place=$1
  if [[ $place != *=* ]]; then
    [ -f "$place" ] || die "there is no placement file '$place'"
    read_placement_file "$place"
  else
    if [ -n "${LAB_NODES:-}" ]; then
      read_placement_file "$LAB_NODES"
      homes=() weights=()
    else
      default_nodes
    fi
    local words word
    read -ra words <<<"${place//$'\n'/ }"
    for word in "${words[@]}"; do
      [[ $word =~ ^([a-z]+)=(.+)$ ]] || die "'$word' is no assignment: write SERVICE=NODE or SERVICE=NODE:WEIGHT,..."
      assign "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    done
  fi
  local service
  for service in "${services[@]}"; do
    [ -n "${homes[$service]:-}" ] || die "the placement does not say where $service lives"
  done
}

# The lines of TOML that a placement file may have; anything else is refused with its line.
read_placement_file() {
  local file=$1 line number=0 table='' node=''
  local key='^([a-z_]+) *= *(.+)$'
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    line=${line%%#*}
    line=${line%"${line##*[![:space:]]}"}
    line=${line#"${line%%[![:space:]]*}"}
    [ -n "$line" ] || continue
    if [ "$line" = '[[node]]' ]; then
      table=node node=''
    elif [ "$line" = '[assign]' ]; then
      table=assign
    elif [[ $line =~ $key ]] && [ "$table" = node ]; then
      read_node_key "$file:$number" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    elif [[ $line =~ $key ]] && [ "$table" = assign ]; then
      read_assign_key "$file:$number" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    else
      die "$file:$number: '$line' is not understood: there are [[node]] with name, cores and memory_mb, and [assign]"
    fi
  done <"$file"
  [ ${#nodes[@]} -gt 0 ] || default_nodes
  for node in "${nodes[@]}"; do
    [ -n "${node_cores[$node]:-}" ] || die "$file: node $node has no cores"
    [ -n "${node_memory[$node]:-}" ] || die "$file: node $node has no memory_mb"
  done
}

# One key of a [[node]]; uses node of the caller.
read_node_key() {
  local where=$1 key=$2 value=$3
  if [ "$key" = name ]; then
    [[ $value =~ ^\"([a-z][a-z0-9]{0,7})\"$ ]] || die "$where: a name is 1 to 8 of a-z and 0-9, in quotes"
    node=${BASH_REMATCH[1]}
    [[ " client net setup bridge lo " != *" $node "* ]] || die "$where: the lab itself has a '$node'"
    [[ " ${nodes[*]} " != *" $node "* ]] || die "$where: there are two nodes $node"
    [ ${#nodes[@]} -lt 8 ] || die "$where: at most 8 nodes"
    nodes+=("$node")
    return
  fi
  [ -n "$node" ] || die "$where: a node's name comes first"
  case $key in
    cores)
      [[ $value =~ ^[0-9]{1,3}(\.[0-9]{1,4})?$ ]] && awk -v c="$value" 'BEGIN { exit !(c >= 0.02 && c <= 128) }' ||
        die "$where: cores are 0.02 to 128"
      node_cores[$node]=$value
      ;;
    memory_mb)
      [[ $value =~ ^[1-9][0-9]{1,6}$ ]] || die "$where: memory_mb is a whole number from 10 on"
      node_memory[$node]=$value
      ;;
    *) die "$where: a node has name, cores and memory_mb, not $key" ;;
  esac
}

# `web = "s1"` or `web = { s1 = 28, s2 = 72 }`.
read_assign_key() {
  local where=$1 service=$2 value=$3
  [ ${#nodes[@]} -gt 0 ] || default_nodes
  if [[ $value =~ ^\"([a-z0-9:,]+)\"$ ]]; then
    assign "$service" "${BASH_REMATCH[1]}" "$where: "
  elif [[ $value =~ ^\{(.+)\}$ ]]; then
    value=${BASH_REMATCH[1]// /}
    assign "$service" "${value//=/:}" "$where: "
  else
    die "$where: write $service = \"s1\" or $service = { s1 = 28, s2 = 72 }"
  fi
}

# One service's homes: NODE or NODE:WEIGHT,NODE:WEIGHT.
assign() {
  local service=$1 list=$2 where=${3:-} parts part node weight
  [[ " ${services[*]} " == *" $service "* ]] || die "${where}there is no service '$service': take ${services[*]}"
  [ -z "${homes[$service]:-}" ] || die "${where}$service is assigned twice"
  IFS=, read -ra parts <<<"$list"
  for part in "${parts[@]}"; do
    [[ $part =~ ^([a-z0-9]+)(:([0-9]+))?$ ]] || die "${where}'$part' of $service is no NODE or NODE:WEIGHT"
    node=${BASH_REMATCH[1]} weight=${BASH_REMATCH[3]:-1}
    [[ " ${nodes[*]} " == *" $node "* ]] || die "${where}there is no node '$node' for $service: take ${nodes[*]}"
    [[ $weight =~ ^[1-9][0-9]{0,3}$ ]] || die "${where}the weight of $service on $node is 1 to 9999: to have none there, leave $node out"
    [ -z "${weights["$service $node"]:-}" ] || die "${where}$service is on $node twice"
    homes[$service]+="${homes[$service]:+ }$node"
    weights["$service $node"]=$weight
  done
  case $service in
    nginx | db) [ ${#parts[@]} -eq 1 ] || die "${where}$service has one home: only web and api have replicas here" ;;
  esac
}

# The placement as one line, in the form that it is read in.
placement_text() {
  local service node out='' list
  for service in "${services[@]}"; do
    list=''
    for node in ${homes[$service]}; do
      list+=${list:+,}$node
      [ "${homes[$service]}" = "$node" ] || list+=:${weights["$service $node"]}
    done
    out+="${out:+ }$service=$list"
  done
  printf '%s\n' "$out"
}
