#!/usr/bin/env bash
# Runs one command of the exporter on the cluster, on the volume of the models, and shows what it says.
#
#   k8s/exporter.sh COMMAND [ARGUMENT...]         k8s/exporter.sh rollback classifier
#   k8s/exporter.sh --exec PROGRAM [ARGUMENT...]  another program of its image, on this one's input
#
# As a Job made of cronjob/exporter, which has the image, the volume and the limits; the exit code is
# the command's. NAMESPACE is sightserve unless set. A command goes on when this script is ended, with
# --exec it ends.
set -euo pipefail
on() { kubectl -n "${NAMESPACE:-sightserve}" "$@"; }
pod() { on get pod -l "job-name=$job" -o "jsonpath={.items[*].status.$1}"; }
# Kubernetes expands $(NAME) in arguments; $$(NAME) is how it is written.
quoted() {
  local word result=""
  for word in "$@"; do
    word="${word//\\/\\\\}"
    word="${word//\"/\\\"}"
    word="${word//$'\n'/\\n}"
    word="${word//\$(/\$\$(}"
    result+="${result:+,}\"$word\""
  done
  printf '[%s]' "$result"
}

usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
[[ $# -gt 0 ]] || usage
job="exporter-$(date +%s)-$RANDOM"
if [[ "$1" == --exec ]]; then
  shift
  [[ $# -gt 0 ]] || usage
  container='"command":["sleep"],"args":["3600"]'
else
  container='"args":'"$(quoted "$@")"
  set --
fi
# What fails is not run again: somebody is looking.
on create job "$job" --from=cronjob/exporter --dry-run=client -o json |
  kubectl patch --local -f - -o json -p '{"spec":{"backoffLimit":0,"template":{"spec":
    {"containers":[{"name":"exporter",'"$container"'}]}}}}' |
  on create -f - >&2

phase=""
until [[ "$phase" =~ Running|Succeeded|Failed ]]; do
  sleep 1
  phase="$(pod phase)"
done
if [[ $# -gt 0 ]]; then
  trap 'on delete job "$job" --wait=false >&2' EXIT
  on exec -i "job/$job" -- "$@"
  exit
fi
on logs --follow "job/$job"
until code="$(pod 'containerStatuses[0].state.terminated.exitCode')" && [[ -n "$code" ]]; do
  sleep 1
done
exit "$code"
