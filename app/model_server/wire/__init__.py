"""Messages on the wire: TensorFlow Serving's protocol without TensorFlow."""
