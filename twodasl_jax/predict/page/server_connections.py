"""The web server under the application: connections bounded in number and in patience.

uvicorn bounds neither how long a request's head may take nor how long an answer may wait to be
read, and counts connections only once they have sent a head.
"""

import asyncio
import http
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 32
"""A browser opens six."""

HEAD_SECONDS = 10.0
"""From a connection's beginning, or from a request's first byte, to the end of its head."""

UNREAD_SECONDS = 30.0
"""In which a client must take at least `_LEAST_READ` of an answer, or the rest of it."""

_LEAST_READ = 16384


class BoundedConnection(H11Protocol):
    """uvicorn's connection, which gives up clients that neither ask nor read."""

    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes a connection, or refuses it where there are too many."""
        super().connection_made(cast(Any, transport))
        # Whatever was not sent yet pauses the writing, which starts a timer below.
        self.transport.set_write_buffer_limits(high=0)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, "The server has too many connections; try again in a minute.")
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Takes what a client sent."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets a connection."""
        for timer in (self._head_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Told by the transport that a client does not read as fast as it is answered."""
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        """Told by the transport that all was taken."""
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def shutdown(self) -> None:
        """Ends the connection with the server: nobody waits for half of an upload."""
        self.transport.abort()

    def _watch_head(self) -> None:
        waits = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
        if waits and self._head_timer is None:
            self._head_timer = self.loop.call_later(
                HEAD_SECONDS, self._refuse, 408, "The request did not arrive in time."
            )
        elif not waits and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _watch_reading(self) -> None:
        self._unread_timer = self.loop.call_later(
            UNREAD_SECONDS, self._give_up_unless_read, self.transport.get_write_buffer_size()
        )

    def _give_up_unless_read(self, unread: int) -> None:
        if self.transport.get_write_buffer_size() > unread - _LEAST_READ:
            self.transport.abort()
        else:
            self._watch_reading()

    def _refuse(self, status: int, sentence: str) -> None:
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE:
            content = sentence.encode()
            headers = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(content)).encode()),
                (b"connection", b"close"),
                *([(b"retry-after", b"60")] if status == 503 else []),
            ]
            reason = http.HTTPStatus(status).phrase.encode()
            head = h11.Response(status_code=status, headers=headers, reason=reason)
            for event in (head, h11.Data(data=content), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def make_server(app: Any) -> uvicorn.Server:
    """The web server of an application, silent but for faults of its own."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedConnection,
            ws="none",
            loop="asyncio",  # the only one whose transports were tried with the bounds above
            lifespan="off",
            # Without a logging configuration of its own its messages go where the package's go.
            log_config=None,
            log_level="error",
            server_header=False,
            proxy_headers=False,
        )
    )
