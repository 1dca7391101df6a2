"""Decoding of images in worker processes that may be killed: bounded in memory, in CPU, in time."""
