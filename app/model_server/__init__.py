"""Several addresses of model servers as one, with the gateway's own errors."""
