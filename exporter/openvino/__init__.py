"""A version for OpenVINO, the model server's second engine: made, proven, and told by the card."""
