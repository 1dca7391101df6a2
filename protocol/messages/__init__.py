"""TensorFlow and TensorFlow Serving messages, generated from the .proto files beside this one."""
