"""How fast, how large and how right a model is; measured, never assumed."""
