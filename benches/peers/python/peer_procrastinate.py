"""Procrastinate. Tuned is many concurrent jobs in one process and rows that are deleted when done."""

import asyncio
import logging
import os
import sys
import time

import procrastinate
from peer_protocol import WORKERS, Handled, Order, answer

IS_ACKED = """SELECT NOT EXISTS (
    SELECT FROM procrastinate_jobs WHERE queue_name = 'work' AND status IN ('todo', 'doing'))"""
CONCURRENT = 20

order = Order()
handled = Handled()
pool = {"min_size": 1, "max_size": 1 if order.case == "send-one" else 20}
connector = procrastinate.PsycopgConnector(conninfo=order.url, **pool)
app = procrastinate.App(connector=connector)


@app.task(queue="next", name="next")
async def following(n):
    """Is sent by crud, and never run."""


@app.task(queue="work", name="work")
async def work(n):
    """Does nothing, or inserts and sends in one transaction."""
    if order.case == "crud":
        async with connector.pool.connection() as connection:
            await connection.execute("INSERT INTO thing (n) VALUES (%s)", [n])
            await following.configure(connection=connection).defer_async(n=n)
    handled.one()


def options():
    """Returns the worker's settings."""
    match order.case:
        case "drain":
            return {"concurrency": CONCURRENT, "delete_jobs": "always"}
        case "crud":
            return {"concurrency": WORKERS, "delete_jobs": "always"}
        case "latency":
            return {"concurrency": WORKERS}
    return {}


def start():
    """Starts the worker; the task has to be kept."""
    worker = app.run_worker_async(queues=["work"], install_signal_handlers=False, **options())
    return asyncio.create_task(worker)


async def run():
    """Carries out the order."""
    match order.case:
        case "setup":
            await app.schema_manager.apply_schema_async()
            answer()
        case "send-one":
            started = time.perf_counter()
            for n in range(order.messages):
                await work.defer_async(n=n)
            answer(seconds=time.perf_counter() - started)
        case "send-bulk":
            started = time.perf_counter()
            for numbers in order.bulks():
                await work.batch_defer_async(*({"n": n} for n in numbers))
            answer(seconds=time.perf_counter() - started)
        case "latency":
            worker = start()
            waits = await handled.pings(order.messages, lambda n: work.defer_async(n=n))
            answer(waits_us=waits)
            worker.cancel()
        case _:
            handled.expect(order.messages)
            started = time.perf_counter()
            worker = start()
            answer(seconds=await handled.until_acked(order.url, IS_ACKED, started))
            worker.cancel()


async def main():
    """Opens the application around the order and leaves without waiting for its workers."""
    logging.disable(logging.WARNING)
    await app.open_async()
    await run()
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())
