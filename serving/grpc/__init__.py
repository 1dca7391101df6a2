"""TensorFlow Serving's gRPC services over serving.inference."""
