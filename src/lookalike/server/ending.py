"""What is still under way when a server has used its time to end gets an answer that says so."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.server.problems import Problem


class Ending:
    """ASGI middleware: answers a request that the server cancels with the `Problem` ending."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except asyncio.CancelledError:
            if has_begun:
                raise
            problem = Problem("ending", "the server ended before this was answered; ask again")
            await problem.response({"Retry-After": "5"})(scope, receive, send)
