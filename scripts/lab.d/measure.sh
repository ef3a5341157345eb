# Sourced by scripts/lab: how well throughput is predicted. Demands are taken in one placement,
# what they predict for another is written down, and only then is that one run.
#
# A virtual machine's CPU is faster at one time than at another, though no quota shows it, and the same
# placement gives another rate a minute later. So two labs are up at once, one in each placement, and are
# loaded in turn, a few seconds each: what changes slowly changes both alike. The table compares means over
# the rounds.

lab_measure() {
  local out=${1:-} list=$lab_parts/placements seconds=12 warmup=4 users=64 rounds=9
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
  check_load "$seconds" "$warmup" "$users"
  [[ $rounds =~ ^[1-9][0-9]?$ ]] || die "--rounds is 1 to 99"
  [ ${#lab_prefix} -le 7 ] || die "LAB_PREFIX is at most 7 characters here: the calibration's lab has one more"
  [ ! -e "$out" ] || die "$out is there already: take another folder"
  find_programs
  local placements=() placement
  while IFS= read -r placement; do
    # Each must read before hours of measuring begin.
    (read_placement "$placement")
    placements+=("$placement")
  done < <(grep -v -e '^#' -e '^ *$' "$list")
  [ ${#placements[@]} -gt 1 ] || die "$list has fewer than two placements"
  # Held until we end, by nobody else: a second one would take down what this one has up.
  exec 8>>"/run/$lab_prefix-measure.lock"
  flock -n 8 || die "another scripts/lab measure is at work: wait for it, or stop it"
  local lab
  for lab in "$lab_prefix" "c$lab_prefix"; do
    [ ! -e "/run/$lab-lab/state" ] || die "a lab is up already: LAB_PREFIX=$lab scripts/lab down"
  done
  mkdir -p "$out"
  out=$(cd "$out" && pwd)
  trap 'exit 130' INT TERM HUP
  trap end_measure EXIT

  local round number here
  for number in "${!placements[@]}"; do
    placement=${placements[number]}
    say "placement $((number + 1)) of ${#placements[@]}: $placement"
    lab_of calibration up "${placements[0]}"
    lab_of run up "$placement"
    for round in $(seq "$rounds"); do
      here=$out/$((number + 1))-$round
      mkdir "$here"
      measure_one calibration "$here"
      write_plan "$here"
      predict "$here" "$placement" >"$here/prediction"
      [ -s "$here/prediction" ] || die "isukit place predicts nothing: see $here"
      chmod a-w "$here/prediction"
      measure_one run "$here"
      printf '%s\t%s %s\n' "$placement" "$(<"$here/prediction")" "$(rates "$here")" >>"$out/rounds"
      # What there is so far, should it be cut off.
      awk -f "$lab_parts/compare.awk" "$out/rounds" >"$out/results.md"
    done
    lab_of run down
    lab_of calibration down
  done
  cat "$out/results.md"
}

# Both labs go, whatever happened, and however often somebody presses Ctrl-C.
end_measure() {
  trap '' INT TERM HUP PIPE
  lab_of run down || true
  lab_of calibration down || true
}

# The rate of a run, the busiest node and the share of its cores, the rate of the calibration, and the machine's
# speed relative to then.
rates() {
  awk '
    FNR == NR && $1 == "rps" { calibrated = $2 }
    FNR == NR && $1 == "speed" { base = $2 }
    FNR == NR { next }
    $1 == "rps" { rps = $2 }
    $1 == "speed" { speed = $2 }
    $1 == "node" && $3 > share { share = $3; busiest = $2 }
    END { printf "%s %s %s %s %.4f\n", rps, busiest, share, calibrated, (base > 0 ? speed / base : 0) }
  ' "$1/calibration/demand" "$1/run/demand"
}

# The lab of the calibration, or of the placement that is run. Their names differ, and each has what it needs of
# its own; the one that is not loaded takes next to nothing.
lab_of() {
  local lab=$1 prefix=$lab_prefix
  shift
  [ "$lab" = run ] || prefix=c$lab_prefix
  LAB_PREFIX=$prefix "$lab_root/scripts/lab" "$@" 8>&-
}

# Loads one of the two, and probes it. Uses seconds, warmup, and users of the caller.
measure_one() {
  local lab=$1 out=$2/$1
  lab_of "$lab" run --duration "$seconds" --warmup "$warmup" --users "$users" --out "$out" --probe >"$out.txt" || {
    say "the run of the $lab failed:"
    cat "$out.txt" >&2
    exit 1
  }
  mv "$out.txt" "$out/summary.txt"
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
