"""The plain way: a Faust agent that reads JSON, cuts with jieba, asks SnowNLP, writes a table row a message.

    python -m stream.bench.peers.plain_way BOOTSTRAP GROUP TOPIC COMMIT_MS FOLDER

What tutorials arrive at. The row is the conversation's sum of sentiments; a message that reads clearly
negative is sent on.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Final

from stream.bench.peers.empty_agent import create, serve

NEGATIVE: Final = 0.1
"""SnowNLP's sentiment below which tutorials alert."""


def main(bootstrap: str, group: str, topic: str, commit_ms: str, folder: str) -> None:
    """Run the agent."""
    import jieba  # noqa: PLC0415 - slow to import
    from snownlp import SnowNLP  # noqa: PLC0415

    jieba.initialize()

    async def run() -> None:
        app = create(bootstrap, group, commit_ms, folder)
        source = app.topic(topic, key_serializer="raw", value_serializer="raw")
        alerts = app.topic(f"{group}-alerts", key_serializer="raw", value_serializer="json")
        table = app.Table(f"{group}-rows", default=dict, partitions=4)

        async def judge(events: Any) -> None:
            async for event in events.events():
                message = json.loads(event.value)
                text = message.get("content", {}).get("text")
                if not text:
                    continue
                words = jieba.lcut(text)
                score = SnowNLP(text).sentiments
                name = message["conversation_id"]
                row = table[name]
                table[name] = {
                    "messages": row.get("messages", 0) + 1,
                    "words": row.get("words", 0) + len(words),
                    "sum": row.get("sum", 0.0) + score,
                }
                if score < NEGATIVE:
                    await alerts.send(key=name.encode(), value={"id": message["message_id"], "score": score})

        app.agent(source, name="judge")(judge)
        await serve(app)

    asyncio.run(run())


if __name__ == "__main__":
    main(*sys.argv[1:])
