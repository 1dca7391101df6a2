"""TensorFlow Serving's wire protocol: messages, codes, tensors and clients, written once."""
