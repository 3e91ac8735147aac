"""The HTTP API and the page: a Flask app over one `Recommender`."""

from api.app import create_app
from api.config import Config

__all__ = ["Config", "create_app"]
