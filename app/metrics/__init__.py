"""Prometheus metrics, by what they are about."""
