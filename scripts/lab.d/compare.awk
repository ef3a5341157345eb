# Predictions beside measurements, as a table in Markdown.
#
#   awk -f compare.awk ROUNDS
#
# A line a round: `PLACEMENT<tab>PREDICTED LIMIT MEASURED BUSIEST SHARE CALIBRATED SPEED`: requests a second as predicted, with
# the limiting node; as measured, with the busiest node and the share of its cores; those of the calibration just
# before; and the machine's speed, 1 during that.

BEGIN { FS = "\t" }
{
  split($2, at, " ")
  # A placement that could not be run has no error.
  if (at[3] <= 0) next
  if (!($1 in rounds)) placement[++count] = $1
  n = ++rounds[$1]
  said[$1, n] = at[1]
  seen[$1, n] = at[3]
  said_sum[$1] += at[1]
  seen_sum[$1] += at[3]
  note(limit, $1, at[2])
  note(busiest, $1, at[4])
  share[$1] += at[5]
  calibrated[$1] += at[6]
  speed[$1] += at[7]
}
END {
  print "| placement | predicted req/s | measured | error | limit, predicted and seen | machine's speed |"
  print "| --- | ---: | ---: | ---: | --- | ---: |"
  for (i = 1; i <= count; i++) {
    name = placement[i]
    n = rounds[name]
    # Of what was measured: how wrong somebody is who trusts the prediction.
    ratio = said_sum[name] / seen_sum[name]
    off = (ratio - 1) * 100
    printf "| `%s` | %.1f | %.1f | %+.1f%%%s | %s, %s %.0f%% | %.2f |\n", name, said_sum[name] / n, seen_sum[name] / n,
      off, noise(name, n, ratio), limit[name], busiest[name], share[name] / n * 100, speed[name] / n
    if (off * off > worst * worst) worst = off
    # Placements were run one after the other, on a machine that was faster at one time than at another.
    said_gain[name] = said_sum[name] / calibrated[name]
    seen_gain = seen_sum[name] / calibrated[name]
    if (said_gain[name] > best_said) best_said = said_gain[name]
    if (seen_gain > best_seen) { best_seen = seen_gain; seen_name = name }
  }
  printf "\nWorst error %+.1f%%. ", worst
  # One full node gives all placements that leave it alone the same throughput, in calibrations of another time nearly so.
  for (i = 1; i <= count; i++)
    if (said_gain[placement[i]] >= best_said * 0.99) picks = picks (picks ? ", " : "") "`" placement[i] "`"
  printf "Best as predicted: %s. Fastest beside its calibrations: `%s`, %s.\n", picks, seen_name,
    index(picks, "`" seen_name "`") ? "as predicted" : "which was not predicted"
}

# Each node once, however many rounds named it.
function note(list, name, node) {
  if (index(" " list[name] " ", " " node " ")) return
  list[name] = list[name] (list[name] ? " " : "") node
}

# The standard error of the ratio of two means whose values come in pairs (Cochran, "Sampling Techniques", 6.4).
function noise(name, n, ratio,    i, sum) {
  if (n < 2) return ""
  for (i = 1; i <= n; i++) sum += (said[name, i] - ratio * seen[name, i]) ^ 2
  return sprintf(" ± %.1f", sqrt(sum / (n * (n - 1))) / (seen_sum[name] / n) * 100)
}
