"""`sightserve classify`: files in, labels out. See docs/classify.md."""
