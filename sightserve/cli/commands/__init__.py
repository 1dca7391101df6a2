"""One module a command: `run` is what it does, `PANEL` the heading it stands under.

A module is imported for every `--help`, so what is heavy is imported inside `run`, and so is what only
an extra brings.
"""
