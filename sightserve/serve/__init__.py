"""From models to a running service on this machine: publish, start, watch, stop."""
