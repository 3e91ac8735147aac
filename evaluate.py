"""Offline evaluation: `python evaluate.py --data DIR …`, the same as `recsys evaluate`."""

from recsys.cli import run
from recsys.cli.evaluate import evaluate

if __name__ == "__main__":
    run(evaluate)
