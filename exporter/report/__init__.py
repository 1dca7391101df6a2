"""What people read about a version or an evaluation: one HTML file, and the same as JSON."""
