"""How gunicorn runs the app without `recsys serve`: with settings from RECSYS_CONFIG and RECSYS_….

One thread a worker for the libraries: `OMP_NUM_THREADS=1 gunicorn -c python:api.gunicorn_settings
'api:create_app()'`.
"""

from __future__ import annotations

from api.config import Config
from api.hosting import options, share_metrics

_config = Config.load()
share_metrics()
bind = f"{_config.host}:{_config.port}"
globals().update(options(_config))
