"""What begins a task, feeds it, watches it and ends it."""
