"""The command line: parses, builds the objects, prints. What the commands do lives elsewhere."""
