#!/usr/bin/env bash
# Starts tensorflow_model_server, TensorFlow Serving's or ours, on the files beside this one.
#
#   model-server.sh [FLAG...]
#
# The one place of its flags. Docker Compose and Kubernetes add what depends on the machine, the
# threads; a flag that is given again wins.
flags=(
  --port=8500
  --rest_api_port=8501
  --model_config_file=/config/models.config
  --model_config_file_poll_wait_seconds=10
  # A canary's label may be written before its version has loaded.
  --allow_version_labels_for_unavailable_models=true
  --monitoring_config_file=/config/monitoring.config
  --enable_batching=true
  --batching_parameters_file=/config/batching.config
  --file_system_poll_wait_seconds=2
  # The default of 4 x cores refuses requests as soon as two gateways are busy.
  --grpc_max_threads=128
  --rest_api_num_threads=16
  --rest_api_timeout_in_ms=30000
  # One at a time: loading competes with the version that serves.
  --num_load_threads=1
  --num_unload_threads=1
  # The defaults retry a broken version for five minutes and apply no other change meanwhile.
  --max_num_load_retries=1
  --load_retry_interval_micros=1000000
  # Several requests side by side beat one request spread over all cores (138 against 111/s).
  --tensorflow_intra_op_parallelism=1
)
if (($$ != 1)); then
  exec tensorflow_model_server "${flags[@]}" "$@"
fi

# Process 1 gets only those signals that it handles, and TensorFlow Serving handles none: SIGTERM would
# do nothing, and every pod take its whole grace period to go. So Bash stays and passes them on.
server=
is_told=0
stop() {
  is_told=1
  [[ -z "$server" ]] || kill -TERM "$server" 2>/dev/null
}
trap stop TERM INT
tensorflow_model_server "${flags[@]}" "$@" &
server=$!
((is_told == 0)) || stop
wait "$server"
status=$?
# A signal ends the wait, not the server.
while ((is_told)); do
  is_told=0
  wait "$server"
  status=$?
done
exit "$status"
