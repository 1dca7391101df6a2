"""HTTP in: each module declares routes and calls one use case."""
