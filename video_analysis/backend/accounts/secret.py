"""Random secrets that clients keep, of which we keep only a hash.

They are random and long, so that a plain SHA-256 is as good as any slow hash: nobody can try them.
"""

import hashlib
import secrets

KEY_PREFIX = "ctn_"


def new_secret(prefix: str = "") -> str:
    """256 random bits, to be shown once."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is stored of it, and looked for."""
    return hashlib.sha256(secret.encode()).hexdigest()
