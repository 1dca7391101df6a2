"""What is written: the graph of the five signatures around one network."""
