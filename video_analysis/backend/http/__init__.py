"""What surrounds every request: pure ASGI, so that nothing that passes through is kept."""
