"""The commands, one module each: its name, the `PANEL` of the help and its function `run`.

TensorFlow takes seconds to import, so functions import what needs it themselves: help and usage
errors must not wait for it.
"""
