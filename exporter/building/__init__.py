"""The parts of a build: how a source is understood, and the graph that is made of it."""
