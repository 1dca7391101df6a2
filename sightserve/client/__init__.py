"""The client: photos in, labels out, over HTTP."""
