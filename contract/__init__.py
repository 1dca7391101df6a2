"""What the exporter promises and the gateway relies on; pure, shared by both."""
