"""The kernel of a Wippy-compatible application runtime."""
