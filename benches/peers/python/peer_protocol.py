"""What the runners in Python count, time and print alike; the crate peer-protocol says what the driver
expects of them."""

import asyncio
import json
import os
import sys
import time

import psycopg

BULK = 1000
WORKERS = 8
REST_SECONDS = 0.02
FIRST_PINGS = 3


class Order:
    """What the program was called with."""

    def __init__(self):
        self.case, messages = sys.argv[1:3]
        self.url = os.environ["PEER_URL"]
        self.messages = int(messages)

    def bulks(self):
        """Yields the numbers of one bulk call after the other."""
        for first in range(0, self.messages, BULK):
            yield range(first, min(first + BULK, self.messages))


class Handled:
    """Counts what handlers handled."""

    def __init__(self):
        self.left = 0
        self.last = None

    def expect(self, messages):
        """Sets how many messages `last` waits for."""
        self.left = messages
        self.last = asyncio.get_running_loop().create_future()

    def one(self):
        """Counts a message; handlers call this when they are done, or begin in the latency case."""
        self.left -= 1
        if self.left == 0:
            self.last.set_result(time.perf_counter())

    async def until_acked(self, url, is_acked, started):
        """Returns the seconds since `started`, once all are handled and the query `is_acked` says so."""
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await self.last
            while not (await (await connection.execute(is_acked)).fetchone())[0]:
                await asyncio.sleep(0.002)
        return time.perf_counter() - started

    async def pings(self, messages, send):
        """Sends one message after the other to idle workers; returns how long each waited."""
        waits = []
        for number in range(messages + FIRST_PINGS):
            await asyncio.sleep(REST_SECONDS)
            self.expect(1)
            await send(number)
            committed = time.perf_counter()
            begun = await self.last
            if number >= FIRST_PINGS:
                waits.append(max(0, begun - committed) * 1e6)
        return waits


def answer(**figures):
    """Prints the answer."""
    print(json.dumps(figures), flush=True)
