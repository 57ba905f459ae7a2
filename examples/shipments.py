"""Sends orders and ships them, from Python: a producer and a worker over SQL functions alone.

    python shipments.py send 3                 sends three orders
    python shipments.py work                   ships orders, until it is told to stop

The schema is made by `outtray migrate`. What a worker writes and the end of its message commit
together, so each order is shipped once, whoever is killed.
"""
import argparse
import os

import psycopg

TABLE = "CREATE TABLE IF NOT EXISTS shipment (number integer NOT NULL, shipped_at timestamptz DEFAULT now())"
RECEIVE = "SELECT id, receipt, payload, attempt FROM outtray.receive('orders', %s, 10)"


def send(connection, count):
    # A producer sends in the transaction that changes its own tables.
    with connection.transaction():
        for number in range(1, count + 1):
            connection.execute("SELECT outtray.send('orders', %s::json)", [f'{{"order": {number}}}'])
    print(f"sent {count} orders")


def ship(connection, message, receipt, order, attempt):
    # Raises if the lease was lost: then what this transaction wrote is rolled back.
    with connection.transaction():
        connection.execute("INSERT INTO shipment (number) VALUES (%s)", [order["order"]])
        connection.execute("SELECT outtray.ack(%s, %s)", [message, receipt])
    print(f"shipped order {order['order']}, attempt {attempt}")


def give_back(connection, message, receipt, error):
    # The topic says when it comes again, and after how many attempts it is a dead letter.
    try:
        connection.execute("SELECT outtray.nack(%s, %s, error => %s)", [message, receipt, str(error)])
    except psycopg.DatabaseError as lost:
        # Somebody else has it by now.
        if lost.sqlstate != "OT110":
            raise


def work(connection, lease, until_empty):
    connection.execute(TABLE)
    # A hint that there is more; what counts is that this asks again every second.
    connection.execute("LISTEN outtray")
    while True:
        # Committed at once: this connection is in autocommit mode.
        messages = connection.execute(RECEIVE, [f"{lease} s"]).fetchall()
        for message, receipt, order, attempt in messages:
            try:
                ship(connection, message, receipt, order, attempt)
            except Exception as error:
                give_back(connection, message, receipt, error)
        if not messages:
            if until_empty:
                return
            for _ in connection.notifies(timeout=1, stop_after=1):
                pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["send", "work"])
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--lease", type=float, default=30)
    parser.add_argument("--until-empty", action="store_true")
    arguments = parser.parse_args()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        if arguments.action == "send":
            send(connection, arguments.count)
        else:
            work(connection, arguments.lease, arguments.until_empty)


main()
