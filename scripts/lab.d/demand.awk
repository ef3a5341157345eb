# What a load took: the service demand law, demand = CPU seconds / requests, over one window.
#
#   awk -f demand.awk WINDOW CORES CPU EVENTS
#
# WINDOW `FROM TO` in unix microseconds; CORES `cores NODE N`; CPU `TIME GROUP CPU_US`, sampled, and
# `TIME rounds-hosts-N COUNT` and `TIME spent-hosts-N TICKS` of the loops that keep CPUs awake;
# EVENTS a line of JSON a request.

FNR == 1 { file++ }
file == 1 { from = $1; to = $2 }
file == 2 { cores[$2] = $3; node[++nodes] = $2 }
file == 3 {
  # CPU at both ends of the window, between the two samples around it.
  if ($2 in at) {
    if (at[$2] <= from && $1 >= from) first[$2] = cpu[$2] + ($3 - cpu[$2]) * (from - at[$2]) / ($1 - at[$2])
    if (at[$2] <= to && $1 >= to) last[$2] = cpu[$2] + ($3 - cpu[$2]) * (to - at[$2]) / ($1 - at[$2])
  }
  at[$2] = $1
  cpu[$2] = $3
}
file == 4 && match($0, /"at_us":[0-9]+/) {
  began = substr($0, RSTART + 8, RLENGTH - 8) + 0
  match($0, /"latency_us":[0-9.]+/)
  ended = began + substr($0, RSTART + 13, RLENGTH - 13)
  if (ended >= from && ended < to) requests++
  if (/"error":/) errors++
}
END {
  seconds = (to - from) / 1e6
  printf "rps %.3f\n", requests / seconds
  printf "errors %d\n", errors
  for (group in last) {
    if (group ~ /^rounds-hosts-/) rounds += last[group] - first[group]
    if (group ~ /^spent-hosts-/) spent += last[group] - first[group]
    slash = index(group, "/")
    if (slash) used[substr(group, slash + 1)] += last[group] - first[group]
  }
  count = split("nginx web api db", names, " ")
  for (i = 1; i <= count; i++)
    if (requests) printf "service %s %.5f\n", names[i], used[names[i]] / 1e3 / requests
  if (requests) printf "client %.5f\n", (last["client"] - first["client"]) / 1e3 / requests
  # A tick is a hundredth of a second to whoever reads /proc.
  if (spent) printf "speed %.3f\n", rounds / spent * 100
  for (i = 1; i <= nodes; i++)
    printf "node %s %.4f\n", node[i], (last[node[i]] - first[node[i]]) / 1e6 / seconds / cores[node[i]]
}
