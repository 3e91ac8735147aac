"""Two small services to measure against, for gunicorn: `empty`, and `plain` of a folder of models.

gunicorn -k sync -w 2 yardsticks:empty
gunicorn -k sync -w 2 'yardsticks:plain("models")'
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from flask import Flask, jsonify, request

from recsys.artifacts import load_current

empty = Flask("empty")


@empty.get("/recommend")
def ok() -> str:
    return "ok"


def plain(models: str) -> Flask:
    """Return a view as one would first write it: a user's history at the time of training, numpy.

    The first layer adds up the rows of the history's items; then one product of the decoder with a
    vector for each request, in float32.
    """
    artifact = load_current(Path(models))
    weights = {name: np.array(array) for name, array in artifact.model.tensors().items()}
    histories = artifact.weighting.histories(artifact.interactions).matrix
    ids, titles = artifact.items.ids, artifact.catalogue.titles
    app = Flask("plain")

    def scores(items: np.ndarray) -> np.ndarray:
        code = weights["first.weight"][items].sum(axis=0) / np.float32(np.sqrt(len(items)))
        code = np.tanh(code + weights["first.bias"])
        mean = weights["encoder.0.weight"] @ code + weights["encoder.0.bias"]
        latent = mean[: len(mean) // 2]
        code = np.tanh(weights["decoder.0.weight"] @ latent + weights["decoder.0.bias"])
        return weights["decoder.2.weight"] @ code + weights["decoder.2.bias"]

    @app.get("/recommend")
    def recommend() -> object:
        row = artifact.users.code(request.args["user"])
        k = int(request.args.get("k", 10))
        items = histories.indices[histories.indptr[row] : histories.indptr[row + 1]]
        found = scores(items)
        found[items] = -np.inf
        best = np.argpartition(-found, k)[:k]
        best = best[np.argsort(-found[best])].tolist()
        return jsonify(
            items=[
                {
                    "rank": rank,
                    "item": ids[item],
                    "title": titles[item],
                    "score": float(found[item]),
                }
                for rank, item in enumerate(best, 1)
            ]
        )

    return app
