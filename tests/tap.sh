# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Runs suites and adds up what they say themselves. Sourced by tests/selftest and .ci/run.
#   suite NAME COMMAND...   a command that prints TAP; its counts are read from what it printed
#   beside NAME COMMAND...  the same for a suite that others may run beside: $TAP_JOBS at a time, two unless that says otherwise;
#                           its line is printed when it ends
#   check NAME COMMAND...   any other command: one test, passed if it exits with 0
#   summary                 what failed, by name, and the closing line; false if anything failed
# suite, check and summary wait for all that runs beside.
# A suite that prints no test, another number of tests than its plan says, or exits with an error though every test passed,
# has one failure more: a runner that dies must never look green. Logs are kept in $TAP_LOGS.

TAP_LOGS=${TAP_LOGS:?}
TAP_TIMEOUT=${TAP_TIMEOUT:-600}
TAP_JOBS=${TAP_JOBS:-2} # a machine has at least two cores
declare -A tap_running=() # "started name" by the id of a process
tap_passed=0 tap_failed=0 tap_skipped=0 tap_failures=()
mkdir -p "$TAP_LOGS"

tap_log() { printf '%s/%s.log' "$TAP_LOGS" "${1//[^A-Za-z0-9_.-]/_}"; }

# Prints "passed failed skipped" of the TAP in the file $1, of a command that exited with $2.
tap_count() {
  awk -v status="$2" '
    /^1\.\.[0-9]+/ { planned += substr($0, 4) + 0; plans++ }
    /^(not )?ok [0-9]+ (- )?# SKIP/ { skipped++; next } # cmocka writes "not ok" for a skipped test
    /^not ok/ { failed++; next }
    /^ok/ { passed++ }
    END {
      total = passed + failed + skipped
      if (total == 0 || !plans || planned != total || (status != 0 && !failed)) failed++
      print passed + 0, failed + 0, skipped + 0
    }' "$1"
}

# name seconds passed failed skipped exit-status
tap_report() {
  tap_passed=$((tap_passed + $3)) tap_failed=$((tap_failed + $4)) tap_skipped=$((tap_skipped + $5))
  local line
  line=$(printf '%-44s %5d passed' "$1" "$3")
  [ "$4" = 0 ] || line+=", $4 failed"
  [ "$5" = 0 ] || line+=", $5 skipped"
  printf '%s  (%d s)\n' "$line" "$2"
  if [ "$4" != 0 ]; then
    printf -- '---- %s exited with %s; the end of %s:\n' "$1" "$6" "$(tap_log "$1")"
    grep -n -A8 '^not ok' "$(tap_log "$1")" | tail -n 60
    printf -- '----\n'
    tail -n 40 "$(tap_log "$1")"
    printf -- '----\n'
    local test
    while IFS= read -r test; do tap_failures+=("$1: $test"); done < <(grep -a '^not ok' "$(tap_log "$1")" | grep -v '# SKIP')
    grep -qa '^not ok' "$(tap_log "$1")" || tap_failures+=("$1: exited with $6")
  fi
}

# Becomes a program with a time limit, or runs a function of the script without one; in a subshell.
tap_run() {
  if declare -F "$1" >/dev/null; then "$@"; else exec timeout --kill-after=10 "$TAP_TIMEOUT" "$@"; fi
}

# Reports those beside that have ended, as soon as one has. `wait -n` may not know of one that ended earlier; `wait` with its id does.
tap_reap() {
  local pid started name status counts before=${#tap_running[@]}
  while :; do
    for pid in "${!tap_running[@]}"; do
      kill -0 "$pid" 2>/dev/null && continue
      status=0
      wait "$pid" 2>/dev/null || status=$?
      read -r started name <<<"${tap_running[$pid]}"
      unset "tap_running[$pid]"
      read -ra counts <<<"$(tap_count "$(tap_log "$name")" "$status")"
      tap_report "$name" $((SECONDS - started)) "${counts[@]}" "$status"
    done
    [ "${#tap_running[@]}" = "$before" ] || return 0
    sleep 0.05
  done
}

tap_await() { while [ "${#tap_running[@]}" != 0 ]; do tap_reap; done; }

beside() {
  local name=$1
  shift
  while [ "${#tap_running[@]}" -ge "$TAP_JOBS" ]; do tap_reap; done
  set -m # a group of its own; otherwise it would ignore SIGINT, which tests send
  tap_run "$@" >"$(tap_log "$name")" 2>&1 </dev/null &
  set +m
  tap_running[$!]="$SECONDS $name"
}

# Who is interrupted leaves nothing running.
tap_abandon() {
  local pid
  for pid in "${!tap_running[@]}"; do kill -TERM -- "-$pid"; done
  exit 130
}
trap tap_abandon INT TERM

suite() {
  tap_await
  beside "$@"
  tap_await
}

check() {
  tap_await
  local name=$1 started=$SECONDS status=0
  shift
  (tap_run "$@") >"$(tap_log "$name")" 2>&1 </dev/null || status=$?
  if [ "$status" = 0 ]; then tap_report "$name" $((SECONDS - started)) 1 0 0 0; else tap_report "$name" $((SECONDS - started)) 0 1 0 "$status"; fi
}

# The names stand at the end too, where the last screen of a long run shows them.
summary() {
  tap_await
  [ "$tap_failed" = 0 ] || printf 'failed: %s\n' "${tap_failures[@]}"
  if [ "$tap_skipped" = 0 ]; then printf '%d passed, %d failed\n' "$tap_passed" "$tap_failed"
  else printf '%d passed, %d failed, %d skipped\n' "$tap_passed" "$tap_failed" "$tap_skipped"; fi
  [ "$tap_failed" = 0 ] && [ "$tap_passed" != 0 ]
}
