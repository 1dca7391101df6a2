"""Settings: environment variables with the prefix GATEWAY_, read once, frozen."""
