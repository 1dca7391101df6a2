"""TensorFlow Serving's REST API over serving.inference."""
