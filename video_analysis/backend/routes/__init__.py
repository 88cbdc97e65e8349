"""The routes, one file for each sort of thing."""
