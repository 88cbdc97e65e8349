"""What users fetch of a task that is over."""
