"""What a graph may do besides computing: files, Python, the network. Looked for before it runs.

Beneath `sources`, because loading a SavedModel runs its initialisers already.
"""
