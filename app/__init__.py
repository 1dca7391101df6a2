"""The gateway: photos in over HTTP, labels out; it never imports TensorFlow."""
