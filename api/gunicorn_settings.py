"""How gunicorn runs the app.

Without `recsys serve`, one thread a worker: `OMP_NUM_THREADS=1 gunicorn -c
python:api.gunicorn_settings 'api:create_app()'`.
"""

from __future__ import annotations

import os

worker_class = "api.worker.Worker"
workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# Scoring releases the interpreter lock; more threads than cores keep slow clients from blocking.
threads = 4
# Each worker opens the model by itself: files are memory-mapped, so they are shared all the same,
# and no library's threads have to survive a fork.
preload_app = False
timeout = 60
graceful_timeout = 5
keepalive = 15
loglevel = "warning"
# Bytes; the longest request line that gunicorn can be told to take.
limit_request_line = 8190
control_socket_disable = True
