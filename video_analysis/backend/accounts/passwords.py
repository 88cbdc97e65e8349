"""Passwords, hashed by argon2id with its library's defaults (RFC 9106, section 4)."""

from anyio import to_thread
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

LEAST, MOST = 10, 256  # characters; hashing a longer one would cost whoever is asked

_hasher = PasswordHasher()
_NOBODYS = _hasher.hash("a password that nobody has")


async def hashed(password: str) -> str:
    """What is stored instead of a password."""
    return await to_thread.run_sync(_hasher.hash, password)


async def matches(password: str, stored: str | None) -> bool:
    """Whether it is the password of `stored`; for an account that is not there it takes as long."""
    right = await to_thread.run_sync(_verify, password, stored or _NOBODYS)
    return right and stored is not None


def _verify(password: str, stored: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False
