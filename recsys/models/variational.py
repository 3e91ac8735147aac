"""What a variational model can say besides scores: a distribution over latents, and their scores.

A protocol without torch, so that a command that asks for it loads torch only where the model does.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from recsys.interactions.tables import FloatArray, Histories


@runtime_checkable
class Variational(Protocol):
    """A fitted model that turns a history into q(u|x) = N(μ, σ²), and a latent u into scores."""

    @property
    def name(self) -> str:
        """What it is called."""

    def posterior(self, histories: Histories) -> tuple[FloatArray, FloatArray]:
        """Return means μ and variances σ² of each history: float32 (b, latent) each."""

    def decode(self, latents: FloatArray) -> FloatArray:
        """Return the scores of latents, (b, latent): logits, float32 (b, n_items).

        `decode(μ)` is what `score` returns.
        """
