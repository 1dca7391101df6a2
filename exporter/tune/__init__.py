"""Finding the fastest safe settings of model server and gateway on the machine at hand."""
