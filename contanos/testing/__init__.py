"""Public helpers for tests: small stages, faulty videos."""
