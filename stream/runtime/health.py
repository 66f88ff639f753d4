"""`/healthz`, `/readyz`, `/metrics`: progress, not liveness.

A process that answers but does no work is not healthy; one that still reads its state back is not
ready. Both answers name what is missing, so that nobody has to guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from stream import metrics as m
from stream.metrics import Metrics, render
from stream.runtime.listening import SIDE_CONNECTIONS, Listening, bounds_of
from stream.settings import Listen

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


def health_site(metrics: Metrics, listen: Listen, *, unhealthy: Report, unready: Report) -> Listening:
    """Return the three routes where the settings want them, not yet listening."""
    return Listening(
        create_health_app(metrics, unhealthy=unhealthy, unready=unready),
        listen.metrics_host,
        listen.metrics_port,
        bounds_of(listen, connections=SIDE_CONNECTIONS),
        cut=lambda reason: metrics.inc(m.HTTP_CUT, reason),
    )
