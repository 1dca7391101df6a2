"""What lies on disk: versions, their cards, manifests and warmup records."""
