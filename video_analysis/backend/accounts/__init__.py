"""Who may come in: passwords, tokens, keys."""
