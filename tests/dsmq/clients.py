"""Uses the clients of dsmq before 1.0 as they are: `clients.py FOLDER HOST PORT`, with a package's folder.

Prints what was got, one message a line.
"""

import contextlib
import io
import sys
import time
import types

folder, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
# Their examples import the module and not the package.
sys.path.insert(0, f"{folder}/dsmq")

import dsmq  # noqa: E402
import example_get_client  # noqa: E402
import example_put_client  # noqa: E402

ROUNDS = 5


def without_rests(example):
    """Has an example not rest for a second before each message."""
    example.time = types.SimpleNamespace(sleep=lambda _: None)
    return example


def put_all():
    with contextlib.redirect_stdout(io.StringIO()):
        without_rests(example_put_client).run(host, port, ROUNDS)


# Puts in the name of the example between two gets of the other example, until that has got them all.
received = io.StringIO()


class Rest:
    """What the getter does instead of resting: the first time it lets the putter work, then it waits a little."""

    def __init__(self):
        self.has_put = False

    def sleep(self, _):
        if self.has_put:
            time.sleep(0.05)
        else:
            # The getter is connected by now, but the server may not have noticed.
            time.sleep(0.2)
            put_all()
            self.has_put = True


example_get_client.time = Rest()
with contextlib.redirect_stdout(received):
    example_get_client.run(host, port, ROUNDS + 1)
sys.stdout.write(received.getvalue())

if hasattr(dsmq, "connect_to_server"):
    queue = dsmq.connect_to_server(host=host, port=port)
    for number in range(20):
        queue.put("numbers", f"{number} é")
    print("client got", [queue.get("numbers") for _ in range(21)])
