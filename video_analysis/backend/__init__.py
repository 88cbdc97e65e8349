"""The control plane: many users, their uploads and tasks, over HTTP."""
