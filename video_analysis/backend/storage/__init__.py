"""Where uploads and results are kept: a folder by default, an object store by URL."""
