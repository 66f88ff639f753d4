"""An empty Faust agent: takes every event of a topic and does nothing with it.

python -m stream.bench.peers.empty_agent BOOTSTRAP GROUP TOPIC COMMIT_MS FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import faust


def create(bootstrap: str, group: str, commit_ms: str, folder: str) -> faust.App:
    """Return an app with Faust's own settings but for what would keep it off this broker."""
    return faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        datadir=folder,
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=int(commit_ms) / 1000,
    )


async def serve(app: faust.App) -> None:
    """Run the app until the process is ended."""
    await app.start()
    await app.wait_until_stopped()


def main(bootstrap: str, group: str, topic: str, commit_ms: str, folder: str) -> None:
    """Run the agent."""

    async def run() -> None:
        app = create(bootstrap, group, commit_ms, folder)
        source = app.topic(topic, key_serializer="raw", value_serializer="raw")

        async def nothing(events: Any) -> None:
            async for _ in events.events():
                pass

        app.agent(source, name="nothing")(nothing)
        await serve(app)

    asyncio.run(run())


if __name__ == "__main__":
    main(*sys.argv[1:])
