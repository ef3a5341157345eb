# Sourced by scripts/lab: how well throughput is predicted. Demands are taken in one placement,
# what they predict for another is written down, and only then is that one run.
#
# A virtual machine's CPU is faster at one time than at another, though no quota shows it, and the same
# placement gives another rate a minute later. So each run has a calibration of its own just before it, several
# rounds are averaged, and the machine's speed is measured besides: the table has what would have been
# measured at the speed of the calibration.

lab_measure() {
  local out=${1:-} list=$lab_parts/placements seconds=20 warmup=6 users=64 rounds=1
  [[ -n $out && $out != -* ]] || die "say where the results go: scripts/lab measure OUT_DIR"
  shift
  while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1 wants a value: see scripts/lab --help"
    case $1 in
      --placements) list=$2 ;;
      --duration) seconds=${2%s} ;;
      --warmup) warmup=${2%s} ;;
      --users) users=$2 ;;
      --rounds) rounds=$2 ;;
      *) die "there is no option '$1': see scripts/lab --help" ;;
    esac
    shift 2
  done
  [[ $rounds =~ ^[1-9]$ ]] || die "--rounds is 1 to 9"
  [ ! -e "$out" ] || die "$out is there already: take another folder"
  find_programs
  local placements=() placement
  while IFS= read -r placement; do
    # Each must read before hours of measuring begin.
    (read_placement "$placement")
    placements+=("$placement")
  done < <(grep -v -e '^#' -e '^ *$' "$list")
  [ ${#placements[@]} -gt 1 ] || die "$list has no placements"
  mkdir -p "$out"
  out=$(cd "$out" && pwd)
  trap 'exit 130' INT TERM HUP
  trap 'measure_again down' EXIT

  local round number here
  for round in $(seq "$rounds"); do
    for number in "${!placements[@]}"; do
      placement=${placements[number]}
      here=$out/$round-$((number + 1))
      mkdir "$here"
      say "round $round, placement $((number + 1)) of ${#placements[@]}: calibrating in ${placements[0]}"
      measure_one "$here/calibration" "${placements[0]}" "$seconds" --probe
      write_plan "$here"
      printf '%s\t%s\n' "$placement" "$(predict "$here" "$placement")" >"$here/prediction"
      chmod a-w "$here/prediction"
      cat "$here/prediction" >>"$out/predictions"
      say "round $round, placement $((number + 1)) of ${#placements[@]}: $placement"
      measure_one "$here/run" "$placement" "$seconds"
      printf '%s\t%s\n' "$placement" "$(rates "$here")" >>"$out/measured"
      # What there is so far, should it be cut off.
      awk -f "$lab_parts/compare.awk" "$out/predictions" "$out/measured" >"$out/results.md"
    done
  done
  cat "$out/results.md"
}

# The rate of a run, the machine's speed relative to its calibration's, and the busiest node.
rates() {
  local base
  base=$(awk '$1 == "speed" { print $2 }' "$1/calibration/demand")
  awk -v base="$base" '
    $1 == "rps" { rps = $2 }
    $1 == "speed" { speed = $2 / base }
    $1 == "node" && $3 > share { share = $3; busiest = $2 }
    END { printf "%s %.4f %s %s\n", rps, speed, busiest, share }' "$1/run/demand"
}

# Each placement has a lab of its own, from nothing.
measure_again() { "$lab_root/scripts/lab" "$@"; }

# Uses seconds, warmup, and users of the caller.
measure_one() {
  local out=$1 placement=$2 seconds=$3
  shift 3
  measure_again up "$placement"
  measure_again run --duration "$seconds" --warmup "$warmup" --users "$users" --out "$out" "$@" >"$out.txt" || {
    say "the run of '$placement' failed:"
    cat "$out.txt" >&2
    exit 1
  }
  mv "$out.txt" "$out/summary.txt"
  measure_again down
}

# The plan: hosts and names only. Demands and memory come from the run and its probes.
write_plan() {
  local out=$1 node service
  (
    read_placement "${placements[0]}"
    for node in "${nodes[@]}"; do
      printf '[[node]]\nname = "%s"\ncores = %s\nmemory_mb = %s\nbackground_cores = 0\n\n' \
        "$node" "${node_cores[$node]}" "${node_memory[$node]}"
    done
    for service in "${services[@]}"; do
      printf '[[service]]\nname = "%s"\nmax_replicas = 3\n\n' "$service"
    done
  ) >"$out/PLAN.toml"
  # The warm-up is left out: what is dear only once is no demand.
  local from probe
  from=$(awk '{ printf "%.0f", $1 / 1e3 }' "$out/calibration/window")
  for probe in "$out"/calibration/*.jsonl; do
    awk -v from="$from" 'match($0, /"unix_ms":[0-9.]+/) {
      if (/"kind":"host"/ || substr($0, RSTART + 10, RLENGTH - 10) - 1000 >= from) print
    }' "$probe" >"$out/$(basename "$probe")"
  done
}

# What `isukit place` says of one placement: `RPS NODE`.
predict() {
  local out=$1 probes=() probe
  for probe in "$out"/*.jsonl; do probes+=(--probe "$probe"); done
  "$isukit" place "$out/PLAN.toml" --run "$out/calibration/run.json" "${probes[@]}" --assign "$2" --format json |
    awk -F'[:,"]+' '/^      "predicted_rps"/ { rps = $3 } /^      "bottleneck"/ { limit = $4 } END { print rps, limit }'
}
