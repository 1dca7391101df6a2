"""The edge: everything that knows HTTP, FastAPI or uvicorn."""
