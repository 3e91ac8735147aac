"""What works at the shards of a run: processes of this machine, or Ray's."""

from __future__ import annotations

import os

from recsys.campaigns.spec import CampaignSpec
from recsys.campaigns.tasks import Engine


def make_engine(spec: CampaignSpec, device: str) -> Engine:
    """Return the engine that a spec asks for, whose networks score on a device.

    Raises
    ------
    MissingDependencyError
        It is Ray, which is not installed.
    """
    if spec.engine == "ray":
        from recsys.campaigns.engines.ray import RayEngine

        return RayEngine(spec.ray_address, spec.workers)
    from recsys.campaigns.engines.local import LocalEngine

    usual = len(os.sched_getaffinity(0)) if device == "cpu" else 1
    return LocalEngine(spec.workers or usual)
