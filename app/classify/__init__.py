"""One image in, predictions out; knows no HTTP."""
