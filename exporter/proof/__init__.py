"""What a version must pass before anybody sees it."""
