"""Running signatures of loaded versions, whatever the transport and the engine."""
