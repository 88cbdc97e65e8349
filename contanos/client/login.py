"""A key for a program, by a name and a password that are then forgotten."""

from typing import Literal

import msgspec

from contanos.client.connection import Connection

_PATIENCE = 10.0  # seconds


class NewKey(msgspec.Struct, frozen=True):
    """A key that was made just now.

    Attributes:
        id: by which it can be revoked.
        key: the secret, which the server does not show again.
    """

    id: str
    key: str


class _Pass(msgspec.Struct):
    access_token: str


class _Account(msgspec.Struct):
    role: str


def make_key(server: str, name: str, password: str, label: str) -> NewKey:
    """A key that may do what its user does day by day, and nothing of an administrator's.

    Args:
        server: its address.
        name: of the account.
        password: of the account.
        label: to know the key by.

    Raises:
        Unauthorised: wrong name or password.
        ServerError: it cannot be made.
    """
    stranger = Connection(server, None, _PATIENCE)
    user: Connection | None = None
    try:
        who = {"name": name, "password": password}
        token = stranger.ask(_Pass, "POST", "/login", json=who).access_token
        user = Connection(server, token, _PATIENCE)
        looks = user.ask(_Account, "GET", "/users/me").role == "viewer"
        scopes: list[Literal["read", "write"]] = ["read"] if looks else ["read", "write"]
        made = user.ask(NewKey, "POST", "/keys", json={"name": label[:128], "scopes": scopes})
        user.call("DELETE", "/login")
        return made
    finally:
        stranger.close()
        if user:
            user.close()


def revoke_key(server: str, key: NewKey) -> None:
    """Have a key be good for nothing.

    Raises:
        Unauthorised: it is already.
        ServerError: the server cannot be told.
    """
    connection = Connection(server, key.key, _PATIENCE)
    try:
        connection.call("DELETE", f"/keys/{key.id}")
    finally:
        connection.close()
