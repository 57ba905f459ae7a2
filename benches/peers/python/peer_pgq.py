"""PgQ. A consumer reads what lies between two ticks as one batch, here in one transaction with its
work. Its ticker is a daemon that calls a function; here a thread does."""

import threading
import time

import psycopg
from peer_protocol import FIRST_PINGS, REST_SECONDS, Order, answer

SEND = "SELECT pgq.insert_event('work', 'job', %s)"
NEXT_BATCH = "SELECT pgq.next_batch('work', 'peer')"
EVENTS = "SELECT ev_data FROM pgq.get_batch_events(%s)"
TICK_SECONDS = 0.01
TICK_MOST_EVENTS = 500

order = Order()


def connect():
    """Returns a connection that commits each statement."""
    return psycopg.connect(order.url, autocommit=True)


def keep_ticking():
    """Calls the ticker until the program ends."""
    with connect() as connection:
        while True:
            connection.execute("SELECT pgq.ticker()")
            time.sleep(TICK_SECONDS)


def take_batch(connection):
    """Handles a batch, if there is one, and finishes it in the same transaction; returns how many
    events it had and when they were there."""
    with connection.transaction():
        batch = connection.execute(NEXT_BATCH).fetchone()[0]
        if batch is None:
            return 0, None
        events = connection.execute(EVENTS, [batch]).fetchall()
        begun = time.perf_counter()
        if order.case == "crud":
            with connection.pipeline():
                for (number,) in events:
                    connection.execute("INSERT INTO thing (n) VALUES (%s)", [int(number)])
                    connection.execute("SELECT pgq.insert_event('next', 'job', %s)", [number])
        connection.execute("SELECT pgq.finish_batch(%s)", [batch])
        return len(events), begun


def take_all():
    """Takes batches until all messages were handled; returns the seconds."""
    with connect() as connection:
        started = time.perf_counter()
        handled = 0
        while handled < order.messages:
            some, _ = take_batch(connection)
            handled += some
            if some == 0:
                time.sleep(TICK_SECONDS / 10)
        return time.perf_counter() - started


def send_one_by_one():
    """Sends over one connection; returns the seconds."""
    with connect() as connection:
        started = time.perf_counter()
        for n in range(order.messages):
            connection.execute(SEND, [str(n)])
        return time.perf_counter() - started


def send_in_bulk():
    """Sends with a call for each message, many in a statement, and ends a batch after each of those;
    returns the seconds."""
    send = "SELECT pgq.insert_event('work', 'job', data) FROM unnest(%s::text[]) AS data"
    with connect() as connection:
        started = time.perf_counter()
        for numbers in order.bulks():
            connection.execute(send, [[str(n) for n in numbers]])
            connection.execute("SELECT pgq.ticker('work')")
        return time.perf_counter() - started


def pings():
    """Sends one message after the other and polls for its batch; returns the microseconds."""
    waits = []
    with connect() as sender, connect() as reader:
        for number in range(order.messages + FIRST_PINGS):
            time.sleep(REST_SECONDS)
            sender.execute(SEND, [str(number)])
            committed = time.perf_counter()
            some = 0
            while some == 0:
                some, begun = take_batch(reader)
                time.sleep(0.001)
            waits.append((begun - committed) * 1e6)
    return waits[FIRST_PINGS:]


def set_up():
    """Makes the queues, with ticks as often as the ticker is called."""
    with connect() as connection:
        connection.execute("CREATE EXTENSION pgq")
        for queue in ("work", "next"):
            connection.execute("SELECT pgq.create_queue(%s)", [queue])
            for name, value in (
                ("ticker_max_lag", f"{TICK_SECONDS} seconds"),
                ("ticker_idle_period", f"{TICK_SECONDS} seconds"),
                ("ticker_max_count", str(TICK_MOST_EVENTS)),
            ):
                connection.execute("SELECT pgq.set_queue_config(%s, %s, %s)", [queue, name, value])
        connection.execute("SELECT pgq.register_consumer('work', 'peer')")


if order.case in ("drain", "crud", "latency"):
    threading.Thread(target=keep_ticking, daemon=True).start()
match order.case:
    case "setup":
        set_up()
        answer()
    case "send-one":
        answer(seconds=send_one_by_one())
    case "send-bulk":
        answer(seconds=send_in_bulk())
    case "latency":
        answer(waits_us=pings())
    case _:
        answer(seconds=take_all())
