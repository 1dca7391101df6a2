"""One module a command: `run` is what it does, `PANEL` the heading it stands under.

A module is imported for every `--help`, so what is heavy, or comes only with an extra, is imported
inside `run`.
"""
