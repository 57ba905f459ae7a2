"""PgQueuer on asyncpg and uvloop. Tuned is a larger batch; its acks are always collected."""

import asyncio
import logging
import os
import sys
import time

import asyncpg
import uvloop
from peer_protocol import WORKERS, Handled, Order, answer
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.queries import Queries

IS_ACKED = "SELECT NOT EXISTS (SELECT FROM pgqueuer WHERE entrypoint = 'work')"
BATCH = 250

order = Order()
handled = Handled()


def start(pool):
    """Starts the manager; the task has to be kept."""
    manager = PgQueuer.from_asyncpg_pool(pool)

    @manager.entrypoint("work")
    async def work(job):
        if order.case == "crud":
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("INSERT INTO thing (n) VALUES ($1)", int(job.payload))
                await Queries(AsyncpgDriver(connection)).enqueue("next", job.payload)
        handled.one()

    batch = {"batch_size": BATCH} if order.case in ("drain", "crud") else {}
    return asyncio.create_task(manager.run(**batch))


async def run(pool):
    """Carries out the order."""
    queries = Queries(AsyncpgPoolDriver(pool))
    match order.case:
        case "setup":
            await queries.install()
            answer()
        case "send-one":
            started = time.perf_counter()
            for n in range(order.messages):
                await queries.enqueue("work", b"%d" % n)
            answer(seconds=time.perf_counter() - started)
        case "send-bulk":
            started = time.perf_counter()
            for numbers in order.bulks():
                count = len(numbers)
                await queries.enqueue(["work"] * count, [b"%d" % n for n in numbers], [0] * count)
            answer(seconds=time.perf_counter() - started)
        case "latency":
            manager = start(pool)
            waits = await handled.pings(order.messages, lambda n: queries.enqueue("work", b"%d" % n))
            answer(waits_us=waits)
            manager.cancel()
        case _:
            handled.expect(order.messages)
            started = time.perf_counter()
            manager = start(pool)
            answer(seconds=await handled.until_acked(order.url, IS_ACKED, started))
            manager.cancel()


async def main():
    """Opens the pool around the order and leaves without waiting for its workers."""
    logging.disable(logging.WARNING)
    connections = 1 if order.case == "send-one" else 2 * WORKERS
    pool = await asyncpg.create_pool(order.url, min_size=1, max_size=connections)
    await run(pool)
    sys.stdout.flush()
    os._exit(0)


uvloop.run(main())
