"""What changes while a network trains, as functions of the epoch.

They count in epochs, neither in steps nor in shares of the run: so a refit that stops at the
epoch that validation chose follows the same schedule as the run in which it was chosen.
"""

from __future__ import annotations


def ramp(epoch: float, length: float, top: float) -> float:
    """Return a value that rises evenly from 0 to `top` over the first `length` epochs.

    Parameters
    ----------
    epoch
        Epochs done, with the part of the one that is going on.
    length
        Epochs until `top`; 0 starts there.
    top
        The value from then on.
    """
    return top * min(1.0, epoch / length) if length > 0 else top
