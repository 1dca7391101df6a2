"""The embedded model server: TensorFlow Serving's API and flags without Docker."""
