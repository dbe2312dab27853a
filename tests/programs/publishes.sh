# shellcheck shell=sh disable=SC2034
# What a POSIX shell does with its environment.
ours() { grep '^JOB_' | tr '\n' ' '; echo; }
look() {
  printf '%s_get=%s\n' "$1" "${JOB_NAME-unset}"
  printf '%s_env=' "$1"
  env | ours
  printf '%s_subshell=' "$1"
  (JOB_NAME=sub && export JOB_NAME && env) | ours
  printf '%s_assigned=' "$1"
  JOB_NAME=assigned JOB_OTHER=other env | ours
  printf '%s_unset=' "$1"
  env -u JOB_NAME /usr/bin/env | ours
  printf '%s_cleared=' "$1"
  env -i JOB_ONLY=only /usr/bin/env | ours
  printf '%s_command=%s\n' "$1" "$(sh -c 'echo "$JOB_NAME"')"
  printf '%s_background=' "$1"
  { env | ours; } &
  wait
}
JOB_NAME=initial
look unexported
export JOB_NAME
look exported
JOB_NAME=changed
look changed
JOB_LONG=$(printf '%5000s' x)
export JOB_LONG
printf 'length=%s\n' "$(sh -c 'printf %s "$JOB_LONG"' | wc -c)"
unset JOB_LONG
unset JOB_NAME
look unset
PATH=/nowhere:/usr/bin:/bin
TZ=UTC+3 date -d @0 +%H
(TZ=UTC-3; export TZ; date -d @0 +%H)
LC_ALL=C env | grep -c '^LC_ALL=C'
set -a
JOB_ALL=all
look all
exec env -u JOB_ALL sh -c 'env | grep "^JOB_" || echo none'
