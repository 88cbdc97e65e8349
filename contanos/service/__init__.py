"""What a service is to those who run it: health, metrics, tasks, and processes kept alive."""
