"""Tasks of users: waiting for their turn, followed, kept, removed."""
