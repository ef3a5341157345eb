# Predictions beside measurements, as a table in Markdown.
#
#   awk -f compare.awk PREDICTIONS MEASURED
#
# Lines of `PLACEMENT<tab>RPS NODE`, and of `PLACEMENT<tab>RPS SPEED NODE SHARE`, several of both for several rounds,
# whose means are compared. SPEED is that of the machine, 1 during the calibration; the table has what
# the rate would have been at that speed, for work that only computes. NODE was the busiest, with SHARE of its cores.

BEGIN { FS = "\t" }
NR == FNR {
  split($2, said, " ")
  if (!($1 in sums)) placement[++count] = $1
  sums[$1] += said[1]
  predicted[$1] = sums[$1] / ++calibrated[$1]
  if (!index(limit[$1], said[2])) limit[$1] = limit[$1] (limit[$1] ? ", " : "") said[2]
  next
}
{
  split($2, seen, " ")
  rounds[$1]++
  measured[$1] += seen[1]
  steady[$1] += seen[1] / seen[2]
  busiest[$1] = busiest[$1] (rounds[$1] > 1 ? ", " : "") sprintf("%s %.0f%%", seen[3], seen[4] * 100)
  list[$1] = list[$1] (rounds[$1] > 1 ? ", " : "") sprintf("%.2f", seen[2])
}
END {
  print "| placement | limit | predicted req/s | measured | error | busiest | machine's speed | error at speed 1 |"
  print "| --- | --- | ---: | ---: | ---: | --- | --- | ---: |"
  for (i = 1; i <= count; i++) {
    name = placement[i]
    raw = measured[name] / rounds[name]
    even = steady[name] / rounds[name]
    printf "| `%s` | %s | %.1f | %.1f | %+.1f%% | %s | %s | %+.1f%% |\n", name, limit[name], predicted[name],
      raw, error(name, raw), busiest[name], list[name], error(name, even)
    off = error(name, raw)
    if (off * off > worst * worst) worst = off
    if (predicted[name] > best_said) { best_said = predicted[name]; said_name = name }
    if (raw > best_seen) { best_seen = raw; seen_name = name }
  }
  printf "\nWorst error %+.1f%%. ", worst
  if (said_name == seen_name) printf "The best pick is right: `%s`.\n", said_name
  else printf "The best pick is `%s`, but `%s` was faster (%.1f, not %.1f).\n", said_name, seen_name, best_seen, measured[said_name] / rounds[said_name]
}

# Of what was measured: how wrong somebody is who trusts the prediction.
function error(name, rate) { return (predicted[name] / rate - 1) * 100 }
