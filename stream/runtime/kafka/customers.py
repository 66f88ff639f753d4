"""The customers' side of a partition: which partition a customer has, what `qa.customers` holds, recovery.

A customer's contacts come from every partition of conversations, so they are written to a partition that
follows from the customer's key, by a hash of our own: clients of different languages hash differently, and
a customer with two partitions would be two customers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from hashlib import blake2b

from stream.core import customers
from stream.core.limits import Limits
from stream.runtime.customers import Contacted, Customers, Told
from stream.runtime.kafka.exits import describe
from stream.runtime.kafka.publisher import Row
from stream.runtime.kafka.versions import readable

logger = logging.getLogger(__name__)

LOAD_CHUNK = 1_000
"""Customers taken back before the loop may turn to other work: about 10 ms."""


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a customer; it must never change, or customers would be forgotten."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) % partitions


def rows(told: Told) -> list[Row]:
    """Return the changelog's rows: the new records, and a tombstone for whoever is gone."""
    changed = [Row(key.encode(), raw) for key, raw in told.changed.items()]
    return changed + [Row(key.encode(), None) for key in told.forgotten]


class CustomerReplay:
    """Takes the records of one partition of `qa.customers` in log order and keeps, per key, the right one.

    As in `qa.state` the higher offset wins, and of equal ones the later record: time changed it.
    """

    def __init__(self) -> None:
        self._latest: dict[str, tuple[int, bytes]] = {}
        self.records = 0

    def take(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Take the next (key, value) rows.

        Raises:
            msgspec.MsgspecError: A value is no record of a customer.
        """
        for raw_key, value in records:
            self.records += 1
            key = (raw_key or b"").decode()
            if value is None:
                self._latest.pop(key, None)
                continue
            applied = customers.applied_of(value)
            known = self._latest.get(key)
            if known is None or known[0] <= applied:
                self._latest[key] = applied, value

    def states(self) -> Iterator[tuple[str, bytes]]:
        """Yield the customers that are there: key and record."""
        for key, (_, raw) in self._latest.items():
            yield key, raw


ReadCustomers = Callable[[int, CustomerReplay], Awaitable[None]]
"""Gives every record of a partition of `qa.customers` to a replay."""


class CustomerSide:
    """The customers of one partition, from their recovery on; conversations need not wait for that."""

    def __init__(self) -> None:
        self.customers = Customers()
        self._read = asyncio.Event()

    async def recover(self, number: int, read: ReadCustomers, limits: Limits) -> None:
        """Read the partition's customers back; contacts wait until that is done.

        Raises:
            WorkerExit: A newer release wrote a record.
        """
        replay = CustomerReplay()
        with readable(f"customers of partition {number}"):
            await read(number, replay)
            for count, (key, raw) in enumerate(replay.states(), start=1):
                self.customers.load(limits, key, raw)
                if count % LOAD_CHUNK == 0:
                    await asyncio.sleep(0)
        self._read.set()
        logger.info("partition %d: %d customers from %d records", number, len(self.customers), replay.records)

    async def recovered(self) -> None:
        """Return once the customers were read back."""
        await self._read.wait()

    def due(self, until: int) -> bool:
        """Whether something of a customer's comes due before `until`."""
        at = self.customers.next_due() if self._read.is_set() else None
        return at is not None and at < until

    def apply(
        self, limits: Limits, contacts: Sequence[Contacted], tick: int | None
    ) -> tuple[Told, list[int]]:
        """Apply contacts, then let time come to a tick; returns the offsets of those we cannot bear, too."""
        refused: list[int] = []
        try:
            told = self.customers.apply(limits, contacts)
        except Exception as error:  # noqa: BLE001 - any bug: it must not stop a partition
            logger.error("contacts cannot be applied, trying one by one: %s", describe(error))  # noqa: TRY400
            told = self._apply_singly(limits, contacts, refused)
        if tick is not None:
            told.merge(self.customers.advance(limits, tick))
        return told, refused

    def _apply_singly(self, limits: Limits, contacts: Sequence[Contacted], refused: list[int]) -> Told:
        told = Told()
        for contact in contacts:
            try:
                told.merge(self.customers.apply(limits, [contact]))
            except Exception:  # noqa: BLE001 - its traceback was just logged
                refused.append(contact.offset)
        return told
