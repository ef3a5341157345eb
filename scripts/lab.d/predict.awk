# The requests/s that a placement allows: the least, over the nodes, of
# cores / sum of demand * share, the utilisation bound of a closed system with many users.
#
#   awk -f predict.awk -v assign='nginx=s1 web=s1:28,s2:72 api=s2 db=s3' CORES DEMAND
#
# CORES `cores NODE N`; DEMAND `service NAME MS`. Prints `RPS NODE`, the node that is the limit.

$1 == "cores" { cores[$2] = $3 }
$1 == "service" { demand[$2] = $3 }
END {
  words = split(assign, word, " ")
  for (w = 1; w <= words; w++) {
    equals = index(word[w], "=")
    service = substr(word[w], 1, equals - 1)
    parts = split(substr(word[w], equals + 1), part, ",")
    sum = 0
    for (p = 1; p <= parts; p++) {
      has = split(part[p], at, ":")
      weight[p] = has > 1 ? at[2] : 1
      home[p] = at[1]
      sum += weight[p]
    }
    for (p = 1; p <= parts; p++) busy[home[p]] += demand[service] / 1e3 * weight[p] / sum
  }
  best = -1
  for (name in busy) {
    rps = cores[name] / busy[name]
    if (best < 0 || rps < best) { best = rps; limit = name }
  }
  printf "%.2f %s\n", best, limit
}
