"""Access tokens: signed, good for minutes, never stored."""

import hmac
import time
from dataclasses import dataclass

import jwt

_ALGORITHM = "HS256"
_CLAIMS = ("sub", "exp", "login")


class BadToken(Exception):
    """It is none of ours, or no longer good; the message says which."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says.

    Attributes:
        user_id: whose it is.
        login_id: the login that it was given to; ended with it.
    """

    user_id: str
    login_id: str


class Tokens:
    """Makes and reads access tokens.

    Args:
        key: they are signed with.
        seconds: that one is good for.
    """

    def __init__(self, key: str, seconds: int) -> None:
        self.seconds = seconds
        self._key = key

    def make(self, claims: Claims) -> str:
        """A token (RFC 7519)."""
        expires = int(time.time()) + self.seconds
        said = {"sub": claims.user_id, "login": claims.login_id, "exp": expires}
        return jwt.encode(said, self._key, _ALGORITHM)

    def veiled(self, text: str) -> str:
        """A digest that nobody can try texts against without the key; 64 hexadecimal digits."""
        return hmac.digest(self._key.encode(), b"veiled:" + text.encode(), "sha256").hex()

    def read(self, token: str) -> Claims:
        """What a token of ours says.

        Raises:
            BadToken: it cannot be trusted.
        """
        try:
            said = jwt.decode(token, self._key, [_ALGORITHM], options={"require": list(_CLAIMS)})
        except jwt.ExpiredSignatureError as e:
            raise BadToken("the access token has expired: refresh it") from e
        except jwt.InvalidTokenError as e:
            raise BadToken("not an access token of this server: log in") from e
        return Claims(str(said["sub"]), str(said["login"]))
