"""`/healthz`, `/readyz`, `/metrics`: progress, not liveness.

A process that answers but does no work is not healthy; one that still reads its state back is not
ready. Both answers name what is missing, so that nobody has to guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from stream.metrics import Metrics, render

Report = Callable[[], Sequence[str]]
"""What is missing, in words for an operator; empty means that all is well."""


def create_health_app(metrics: Metrics, *, unhealthy: Report, unready: Report) -> web.Application:
    """Return the three routes as an application of their own."""

    def answer(report: Report, good: str) -> Callable[[web.Request], object]:
        async def handle(_: web.Request) -> web.Response:
            missing = list(report())
            status = 503 if missing else 200
            return web.json_response(
                {"status": "waiting" if missing else good, "missing": missing}, status=status
            )

        return handle

    async def scrape(request: web.Request) -> web.Response:
        body, content_type = render(metrics, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/healthz", answer(unhealthy, "ok"))  # type: ignore[arg-type]
    app.router.add_get("/readyz", answer(unready, "ready"))  # type: ignore[arg-type]
    app.router.add_get("/metrics", scrape)
    return app


class Site:
    """An application that listens; `port` is the real one where 0 was asked for."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        # Scrapes are not worth a log line each, and a query string may hold anything.
        self._runner = web.AppRunner(app, access_log=None)
        self._host = host
        self.port = port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address is taken or not ours.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()
