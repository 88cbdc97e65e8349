"""Requests to a server, and what becomes of those that fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import msgspec

from contanos import __version__
from contanos.client.answers import error_of
from contanos.client.patience import Patience
from contanos.errors import ServerError, ServerFailed, TryLater, Unreachable

PREFIX = "/api/v1"
AGENT = f"contanos/{__version__}"

_IDEMPOTENT = frozenset({"GET", "HEAD", "DELETE"})
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_UNKNOWN_SECONDS = 3.0  # for a server that has never answered: its address may be wrong
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_LIMITS = httpx.Limits(keepalive_expiry=2.0)  # sooner than servers and proxies hang up

T = TypeVar("T")


class Connection:
    """Makes requests in somebody's name.

    Args:
        server: its address.
        key: is shown with every request, and to nobody else: no redirect is followed. None for
            those who have none yet.
        patience: seconds for which what failed is tried again.

    Attributes:
        server: its address.
        shown: the headers that let us in.
    """

    def __init__(self, server: str, key: str | None, patience: float) -> None:
        self.server = server
        self.shown = {"Authorization": f"Bearer {key}"} if key else {}
        self._patience = patience
        self._answered = False
        self._http = httpx.Client(
            base_url=server + PREFIX,
            headers={"User-Agent": AGENT} | self.shown,
            timeout=_TIMEOUT,
            limits=_LIMITS,
        )

    def close(self) -> None:
        """Let go of all connections."""
        self._http.close()

    def patience(self) -> Patience:
        """For something that is tried several times."""
        return Patience(self._patience)

    def ask(self, kind: type[T], method: str, path: str, **request: Any) -> T:
        """What a server answers, decoded; see `call`.

        Raises:
            ServerError: as `call` does; or the answer is nothing that a contanos server says.
        """
        return self.decoded(kind, self.call(method, path, **request).content)

    def decoded(self, kind: type[T], body: bytes) -> T:
        """An answer's body.

        Raises:
            ServerFailed: it is nothing that a contanos server says.
        """
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as e:
            raise ServerFailed(f"{self.server} does not answer as contanos does: {e}") from e

    def call(
        self, method: str, path: str, *, repeatable: bool | None = None, **request: Any
    ) -> httpx.Response:
        """One request with a short answer, made again where that can do no harm.

        Args:
            method: of the request.
            path: below the API's prefix.
            repeatable: whether done twice is as good as done once; by default by the method.
            request: the rest of it, as httpx has it.

        Raises:
            ServerError: what came of it in the end.
        """
        harmless = method in _IDEMPOTENT if repeatable is None else repeatable
        patience, before = self.patience(), False
        while True:
            try:
                with self.stream(method, path, gone_is_done=before, **request) as answer:
                    answer.read()
                    return answer
            except (Unreachable, TryLater) as e:
                if not (harmless or _was_not_done(e)):
                    raise
                self.wait(patience, e)
                before = method == "DELETE"

    def wait(self, patience: Patience, fault: ServerError) -> None:
        """Before the next attempt; not long where it may be that there is no server.

        Raises:
            ServerError: `fault` itself, where it is over.
        """
        if not self._answered:
            patience.shorten(_UNKNOWN_SECONDS)
        patience.wait(fault)

    @contextmanager
    def stream(
        self, method: str, path: str, *, gone_is_done: bool = False, **request: Any
    ) -> Iterator[httpx.Response]:
        """One request, made once, with an answer that is read as it comes.

        Args:
            method: of the request.
            path: below the API's prefix.
            gone_is_done: whether 404 is a success: an attempt before may have had it.
            request: the rest of it, as httpx has it.

        Raises:
            ServerError: there was none, or it is no success, or it breaks off.
        """
        try:
            with self._http.stream(method, path, **request) as answer:
                self._answered = True
                if answer.status_code >= 300 and not (gone_is_done and answer.status_code == 404):
                    raise refusal(answer)
                yield answer
        except (httpx.TransportError, httpx.DecodingError) as e:
            raise self.lost(e, heard=not isinstance(e, _NOT_SENT)) from e

    def lost(self, error: Exception, heard: bool = True) -> Unreachable:
        """The error for a connection that could not be made, or broke."""
        what = "the connection broke" if self._answered else "cannot be reached"
        why = str(error) or type(error).__name__
        return Unreachable(f"{self.server}: {what}: {why}", heard)


def refusal(answer: httpx.Response) -> ServerError:
    """The error that an answer is, of which nothing was read yet."""
    headers = answer.headers
    return error_of(
        answer.status_code, answer.read(), headers.get("Retry-After"), headers.get("Location")
    )


def _was_not_done(error: Unreachable | TryLater) -> bool:
    """Whether it is certain that a request had no effect."""
    if isinstance(error, Unreachable):
        return not error.heard
    return error.status == 429
