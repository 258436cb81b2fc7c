"""Middleware around the server's routes: who may ask, what every answer says, how refusals end."""

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twodasl_jax.predict.page.server_origin import answers_to, comes_from_elsewhere, opens_a_page

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Of every answer that does not say otherwise."""


_DROPPED_PAUSE_SECONDS = 1.0
"""Who stops sending waits for the answer."""


class Guard:
    """Middleware: refuses requests of other sites' pages, and adds headers that keep them out."""

    def __init__(self, app: ASGIApp, *, listening: str) -> None:
        """Wraps the application of a server that listens on a name or address."""
        self._app, self._listening = app, listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""

        async def guarding_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._refusal(scope) or self._app
        await app(scope, receive, guarding_send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not answers_to(host, self._listening):
            sentence = (
                f"This server does not answer to the name {host[:100]!r}; "
                "open it by the address that it printed."
            )
            return JSONResponse({"error": sentence}, 400)
        is_link = scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
        if comes_from_elsewhere(headers) and not (is_link and opens_a_page(headers)):
            return JSONResponse({"error": "This server answers to its own page alone."}, 403)
        return None


class ReadsToTheEnd:
    """Middleware: reads what is left of a request's body, and drops it, before an early answer.

    A connection that is closed while its client still sends is torn down, and the client sees that
    instead of the answer. There is a bound on this patience.
    """

    def __init__(self, app: ASGIApp, *, most_bytes: int, seconds: float) -> None:
        """Wraps an application."""
        self._app, self._most_bytes, self._seconds = app, most_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        names = {name for name, _ in scope.get("headers", [])}
        # Who asks first whether to send (curl, above a megabyte) has not sent yet.
        complete = b"expect" in names or not names & {b"content-length", b"transfer-encoding"}

        async def noting_receive() -> Message:
            nonlocal complete
            message = await receive()
            complete = complete or not message.get("more_body", False)
            return message

        async def patient_send(message: Message) -> None:
            # An answer to a client that is too slow closes the connection and waits no longer.
            closes = Headers(raw=message.get("headers", [])).get("connection") == "close"
            if message["type"] == "http.response.start" and not complete and not closes:
                await self._drop(noting_receive, lambda: complete)
            await send(message)

        await self._app(scope, noting_receive, patient_send)

    async def _drop(self, receive: Receive, is_complete: Callable[[], bool]) -> None:
        left = self._most_bytes
        try:
            async with asyncio.timeout(self._seconds):
                while left > 0 and not is_complete():
                    async with asyncio.timeout(_DROPPED_PAUSE_SECONDS):
                        left -= max(len((await receive()).get("body", b"")), 1)
        except TimeoutError:
            pass
