#!/usr/bin/env bash
# Succeeds while the model server beside it holds an AVAILABLE version of a model.
#
#   model-state.sh [MODEL [REST_PORT]]
#
# Without MODEL it is $MODEL_NAME, which Kubernetes takes from models.config.
# Bash alone, because TensorFlow Serving's image has no curl and no Python. The caller bounds the time.
set -eu
model="${1:-${MODEL_NAME:?usage: model-state.sh MODEL [REST_PORT]}}"
exec 3<>"/dev/tcp/127.0.0.1/${2:-8501}"
printf 'GET /v1/models/%s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$model" >&3
answer="$(cat <&3)"
[[ "$answer" =~ \"state\":\ *\"AVAILABLE\" ]]
