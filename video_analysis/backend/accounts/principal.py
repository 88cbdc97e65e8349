"""Who makes a request, and what they may do."""

from dataclasses import dataclass
from typing import Literal, get_args

from video_analysis.backend.database.tables import User

Scope = Literal["read", "write", "admin"]
SCOPES: frozenset[Scope] = frozenset(get_args(Scope))

_OF_ROLES: dict[str, frozenset[Scope]] = {
    "admin": SCOPES,
    "user": frozenset({"read", "write"}),
    "viewer": frozenset({"read"}),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was let in.

    Attributes:
        user: the account.
        scopes: what this request may do: what the role allows, and the key, if one was shown.
        login_id: of a login; None for a key.
        key_id: of a key; None for a login.
    """

    user: User
    scopes: frozenset[Scope]
    login_id: str | None = None
    key_id: str | None = None

    @property
    def owner_id(self) -> str:
        """The user whose uploads and tasks they deal with: a viewer's are another's."""
        return self.user.views or self.user.id

    def may(self, scope: Scope) -> bool:
        """Whether the request may do that."""
        return scope in self.scopes


def scopes_of(role: str) -> frozenset[Scope]:
    """What an account of that role may do."""
    return _OF_ROLES[role]
