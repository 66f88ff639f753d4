"""The embedded runtime's ledger keeps the contract of every ledger; a crash is the image of its files."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from alerts import config as alerts_config
from alerts.ledger import LedgerStore
from alerts.testing import LedgerContract
from stream.core.annotate import Annotator
from stream.core.book import EMPTY_BOOK
from stream.models import build_annotator
from stream.runtime.clock import StreamClock
from stream.runtime.conversations import Knowledge
from stream.runtime.local import LocalRuntime
from stream.runtime.local_ledger import LocalLedger


class TestLocalLedger(LedgerContract):
    @pytest.fixture(autouse=True)
    async def _folder(self, tmp_path: Path) -> AsyncIterator[None]:
        self.folders = (tmp_path / str(number) for number in itertools.count())
        self.open: dict[LedgerStore, tuple[LocalRuntime, Path]] = {}
        annotator: Annotator = build_annotator(())
        self.knowledge = Knowledge(EMPTY_BOOK, annotator)
        yield
        for runtime, _ in self.open.values():
            await runtime.stop()

    async def start(self, folder: Path) -> LedgerStore:
        nobody = alerts_config.parse({}, source="none", env={})
        runtime = LocalRuntime(folder, lambda: self.knowledge, nobody, clock=StreamClock())
        await runtime.start()
        ledger = LocalLedger(runtime)
        self.open[ledger] = runtime, folder
        return ledger

    async def opened(self) -> LedgerStore:
        folder = next(self.folders)
        folder.mkdir()
        return await self.start(folder)

    async def reopened(self, store: LedgerStore) -> LedgerStore:
        _, folder = self.open[store]
        image = next(self.folders)
        image.mkdir()
        for name in ("yanshao.db", "yanshao.db-wal"):
            shutil.copyfile(folder / name, image / name)
        return await self.start(image)
