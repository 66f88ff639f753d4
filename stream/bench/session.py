"""What the measurements of one run share: knowledge, the day's sentences, a folder, one broker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from stream.bench.workload import Model, models
from stream.runtime.broker import BrokerError, LocalBroker
from stream.runtime.conversations import Knowledge
from stream.runtime.knowledge import open_knowledge
from stream.testing import cache_home


@dataclass
class Session:
    """One run of the bench. Use it as a context: leaving it ends the broker and removes the folder.

    ``tell`` is told what is being done; ``show`` gets text for the reader (profiles). ``quick`` asks for
    sizes that show that everything works, not how fast.
    """

    quick: bool = False
    profile: bool = False
    tell: Callable[[str], None] = lambda _: None
    show: Callable[[str], None] = lambda _: None
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def scale(self, full: int, quick: int) -> int:
        """Return the size for this run."""
        return quick if self.quick else full

    @cached_property
    def folder(self) -> Path:
        """A folder of this run's own."""
        return Path(self._stack.enter_context(TemporaryDirectory(prefix="yanshao-bench-")))

    @cached_property
    def knowledge(self) -> Knowledge:
        """All shipped packs; nobody changes it."""
        return open_knowledge()

    @cached_property
    def day(self) -> list[Model]:
        """The messages of the shipped day."""
        return models(self.knowledge)

    @cached_property
    def bootstrap(self) -> str:
        """The address of a Kafka broker of this run's own.

        Raises:
            stream.runtime.broker.BrokerError: There is no Java, no Maven, or it does not start.
        """
        self.tell("Apache Kafka is starting")
        broker = LocalBroker(cache_home(os.environ) / "kafka", self.folder / "kafka")
        self._stack.callback(broker.stop)
        return broker.start()

    def why_no_kafka(self) -> str | None:
        """Return why there is no broker on this machine, None where there is one."""
        try:
            _ = self.bootstrap
        except BrokerError as error:
            return f"no Kafka on this machine: {error}"
        return None

    def run(self, module: str, *arguments: str, text: str = "") -> str:
        """Run a module of ours as a process of its own, fed with ``text``; return what it printed.

        Raises:
            subprocess.CalledProcessError: It failed; its last words are in ``stderr``.
        """
        done = subprocess.run(  # noqa: S603 - our own interpreter and modules
            [sys.executable, "-m", module, *arguments],
            input=text,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, module, stderr=done.stderr[-2000:])
        return done.stdout

    def on_exit(self, call: Callable[..., object], *arguments: object) -> None:
        """Call this when the session ends; the latest first."""
        self._stack.callback(call, *arguments)


def end(process: subprocess.Popen[str], patience_s: float = 20.0) -> None:
    """End a process that we started: asked first, then killed."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
