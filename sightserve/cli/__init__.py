"""The command `sightserve`."""
