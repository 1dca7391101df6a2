"""The exporter: a source model in, a proven, published SavedModel version out."""
