"""Transfer learning: a folder of photographs in, a published version out (docs/training.md)."""
