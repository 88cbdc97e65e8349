"""Videos that users bring: received, checked by their bytes, kept."""
