"""Stages: what one is (`contract`), and what carries it (`runner`)."""
