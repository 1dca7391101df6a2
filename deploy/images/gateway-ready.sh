#!/usr/bin/env bash
# Succeeds while the gateway beside it answers 200 on /readyz, that is, while the model answers.
#
# Bash alone: it costs a few milliseconds, where starting Python every two seconds costs a core's 5 %.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/${GATEWAY_PORT:-8000}"
printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r _ status _ <&3
[[ "$status" == 200 ]]
