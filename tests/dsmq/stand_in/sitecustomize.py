"""Puts outtray in the place of dsmq's own server, for dsmq's own tests.

Python imports this by itself when its folder is in PYTHONPATH, in the processes that a test starts, too. The tests
call `serve` in a process of its own, which becomes the server.
"""

import os
import sys
import types


def serve(host="127.0.0.1", port=30008, name="mqdb", verbose=False):
    program = os.environ["OUTTRAY"]
    os.execv(program, [program, "serve", "--dsmq", f"{host}:{port}"])


try:
    import dsmq
except ImportError:
    # Some other Python, such as pip's.
    pass
else:
    server = types.ModuleType("dsmq.server")
    serve.__module__ = "dsmq.server"
    server.serve = serve
    sys.modules["dsmq.server"] = server
    dsmq.server = server
