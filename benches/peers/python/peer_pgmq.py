"""PGMQ, installed from the SQL that its Python package ships and called from pgbench, which has less
overhead than any client. Tuned is 100 messages to a read and to a delete."""

import os
import re
import subprocess
import tempfile
import time

import psycopg
from peer_protocol import FIRST_PINGS, REST_SECONDS, WORKERS, Order, answer
from pgmq.install import get_embedded_install_sql, install_pgmq_sql

BATCH = 100

SEND = """SELECT pgmq.send('work', '{"n": 1}');"""
READ_MANY = f"""SELECT coalesce(array_agg(msg_id), '{{}}') AS ids FROM pgmq.read('work', 30, {BATCH}) \\gset
SELECT count(*) FROM pgmq.delete('work', :ids::bigint[]);"""
READ_ONE = """SELECT msg_id FROM pgmq.read('work', 30, 1) \\gset
SELECT pgmq.delete('work', :msg_id::bigint);"""
CRUD = """BEGIN;
SELECT msg_id, message FROM pgmq.read('work', 30, 1) \\gset
INSERT INTO thing (n) VALUES (:msg_id);
SELECT pgmq.send('next', :message::jsonb);
SELECT pgmq.delete('work', :msg_id::bigint);
COMMIT;"""

order = Order()


def pgbench(script, connections, runs):
    """Runs a script so often, over so many connections; returns the seconds without connecting."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script + "\n")
        file.flush()
        counts = ["-c", str(connections), "-t", str(max(1, -(-runs // connections)))]
        program = [os.environ["PGBENCH"], "-n", "-M", "prepared", "-j", "2", *counts]
        output = subprocess.run(
            [*program, "-f", file.name], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    done = int(re.search(r"actually processed: (\d+)", output)[1])
    return done / float(re.search(r"tps = ([0-9.]+)", output)[1])


def drain(script, messages_per_run):
    """Runs a script until the queue is empty."""
    # One that reads a single message fails when there is none.
    runs = order.messages // WORKERS * WORKERS if messages_per_run == 1 else order.messages
    seconds = pgbench(script, WORKERS, -(-runs // messages_per_run))
    # As if it had handled all: what is left is a few that no connection was asked to read.
    return seconds * order.messages / runs


def send_in_bulk():
    """Sends bulks over one connection."""
    with psycopg.connect(order.url, autocommit=True) as connection:
        started = time.perf_counter()
        for numbers in order.bulks():
            payloads = [f'{{"n": {n}}}' for n in numbers]
            connection.execute("SELECT pgmq.send_batch('work', %s::jsonb[])", [payloads])
        return time.perf_counter() - started


def ping(sender, reader, number):
    """Sends a message and reads it when the notification comes; returns the microseconds between."""
    time.sleep(REST_SECONDS)
    sender.execute("SELECT pgmq.send('work', %s::jsonb)", [f'{{"n": {number}}}'])
    committed = time.perf_counter()
    while True:
        rows = reader.execute("SELECT msg_id FROM pgmq.read('work', 30, 1)").fetchall()
        if rows:
            begun = time.perf_counter()
            reader.execute("SELECT pgmq.delete('work', %s::bigint)", rows[0])
            return (begun - committed) * 1e6
        for _ in reader.notifies(timeout=1, stop_after=1):
            pass


def pings():
    """Measures idle latency with notifications that are not throttled."""
    with (
        psycopg.connect(order.url, autocommit=True) as sender,
        psycopg.connect(order.url, autocommit=True) as reader,
    ):
        reader.execute("SELECT pgmq.enable_notify_insert('work', 0)")
        reader.execute('LISTEN "pgmq.q_work.INSERT"')
        waits = [ping(sender, reader, n) for n in range(order.messages + FIRST_PINGS)]
        return waits[FIRST_PINGS:]


match order.case:
    case "setup":
        with psycopg.connect(order.url) as connection:
            install_pgmq_sql(get_embedded_install_sql(), conn=connection)
            connection.execute("SELECT pgmq.create('work'), pgmq.create('next')")
        answer()
    case "send-one":
        answer(seconds=pgbench(SEND, 1, order.messages))
    case "send-bulk":
        answer(seconds=send_in_bulk())
    case "drain":
        answer(seconds=drain(READ_MANY, BATCH))
    case "drain-default":
        answer(seconds=drain(READ_ONE, 1))
    case "crud":
        answer(seconds=drain(CRUD, 1))
    case "latency":
        answer(waits_us=pings())
