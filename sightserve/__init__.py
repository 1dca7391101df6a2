"""Sightserve for those who call it: the client, and the command `sightserve`."""
