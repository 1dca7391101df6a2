"""The seam to the model server: one interface, gRPC and REST behind it."""
