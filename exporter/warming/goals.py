"""Where the keys of a job go: the configuration in, a Goal out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.warming import hotset

if TYPE_CHECKING:
    from exporter.config import Config, Target
    from exporter.config.warming import WarmingJob


@dataclass(frozen=True, slots=True)
class Goal:
    """What a job needs beside its own settings; `state` is the path of the target's saved hot set, empty for none."""

    target: str
    db: int
    lease_seconds: float
    state: str


def target_of(config: Config, job: WarmingJob) -> Target:
    """The target that a job warms; `check` has seen to it that there is one."""
    return next(target for target in config.targets if job.target in {None, target.name})


def goal_of(config: Config, job: WarmingJob) -> Goal:
    """Where a job's keys go."""
    target, directory = target_of(config, job), config.warming.state_dir
    saved = str(hotset.path_of(directory, target.name)) if directory is not None else ""
    return Goal(target.name, target.endpoint.db, config.warming.lease, saved)
