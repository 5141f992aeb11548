"""Serves the page, and the one WebSocket over which it drives."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pygame
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from simulator.viewer.web.messages import events
from simulator.viewer.web.screen import Picture, Screen

PAGE = Path(__file__).parent / "page"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_UNSEEN = 2
"""Pictures on their way at a time: more would only arrive late over a slow line."""
MOST_BYTES = 4096  # of a message from a page
STOP_S = 5.0


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 picks a free one.

    Raises:
        OSError: says whether the port is taken or the address isn't this machine's.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise OSError(
            f"can't serve on {host} port {port}: {error}. Another `dreamlane serve` may have it;"
            " --port names another, --port 0 takes a free one"
        ) from error


class Server:
    """One seat at the wheel, in a thread of its own.

    Args:
        screen: what the page sees.
        post: called with each event of the page, in the server's thread.
        left: called when the page is gone, in the server's thread.
        token: what the page's address must name; None for anybody who reaches the socket.
        keys: that the page sends on, by their browser's names.
    """

    def __init__(
        self,
        screen: Screen,
        post: Callable[[pygame.event.Event], object],
        left: Callable[[], object],
        token: str | None,
        keys: Sequence[str],
    ) -> None:
        self._keys = keys
        self._screen, self._post, self._left, self._token = screen, post, left, token
        self._taken = False
        self._over: str | None = None
        self._news: Callable[[], object] = lambda: None
        routes = [
            WebSocketRoute("/drive", self._drive),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ]
        # without a token, a foreign page could get here by a name of its own that leads to this machine
        guard = Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])
        app = Starlette(routes=routes, middleware=[] if token else [guard])
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                lifespan="off",
                ws="websockets-sansio",
                ws_max_size=MOST_BYTES,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread: threading.Thread | None = None

    def start(self, listening: socket.socket) -> None:
        """Serve on a socket from `bound`."""
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="server", daemon=True
        )
        self._thread.start()

    def stop(self, why: str) -> None:
        """Tell the page why it is over, and end."""
        self._over = why
        self._news()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _refusal(self, websocket: WebSocket) -> str:
        """Why this page may not drive; empty if it may."""
        if self._token is not None:
            given = websocket.query_params.get("token", "")
            if not secrets.compare_digest(given.encode(), self._token.encode()):
                return "this address lacks the token: open the one that `dreamlane serve` printed"
        origin = websocket.headers.get("origin")  # browsers always send it
        if origin is not None and urlsplit(origin).netloc != websocket.headers.get("host"):
            return "pages from elsewhere may not drive"
        if self._taken:
            return "somebody else is at the wheel; reload once they have left"
        return ""

    async def _drive(self, websocket: WebSocket) -> None:
        """A page's whole visit."""
        await websocket.accept()
        if refusal := self._refusal(websocket):
            await websocket.send_json({"refused": refusal})
            await websocket.close(1008)
            return
        self._taken = True
        news, unseen = asyncio.Event(), deque[Picture]()
        loop = asyncio.get_running_loop()
        self._news = lambda: loop.call_soon_threadsafe(news.set)
        self._screen.watch(self._news)
        self._post(pygame.event.Event(pygame.WINDOWEXPOSED))  # draw, whether anything is new or not
        both = [
            asyncio.create_task(self._show(websocket, news, unseen)),
            asyncio.create_task(self._listen(websocket, news, unseen)),
        ]
        try:
            await websocket.send_json({"keys": self._keys})
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except WebSocketDisconnect:
            pass
        except ValueError as error:
            await websocket.close(1008, str(error)[:120])
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self._screen.watch(None)
            self._news, self._taken = lambda: None, False
            self._left()

    async def _show(
        self, websocket: WebSocket, news: asyncio.Event, unseen: deque[Picture]
    ) -> None:
        sent = 0
        while self._over is None:
            picture = self._screen.latest
            if picture is not None and picture.number != sent and len(unseen) < MOST_UNSEEN:
                sent = picture.number
                unseen.append(picture)
                await websocket.send_bytes(picture.jpeg)
            await news.wait()
            news.clear()
        await websocket.send_json({"over": self._over})
        await websocket.close(1000)

    async def _listen(
        self, websocket: WebSocket, news: asyncio.Event, unseen: deque[Picture]
    ) -> None:
        while True:
            message = await websocket.receive_text()
            if message == "seen":
                if unseen:
                    self._screen.seen(unseen.popleft())
                news.set()
                continue
            for event in events(message, self._screen.size, self._keys):
                self._post(event)
