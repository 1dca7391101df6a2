"""Several gateway processes behind one port, and the supervisor that starts them (ADR 28)."""
