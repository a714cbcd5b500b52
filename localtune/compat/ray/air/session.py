"""Stands for ``ray.air.session``."""

from __future__ import annotations

from localtune import get_checkpoint as get_checkpoint
from localtune.compat.faces import names_of
from localtune.compat.train_context import TrainContext
from localtune.compat.train_context import report as report

_context = TrainContext()
get_experiment_name = _context.get_experiment_name
get_local_rank = _context.get_local_rank
get_local_world_size = _context.get_local_world_size
get_node_rank = _context.get_node_rank
get_trial_dir = _context.get_trial_dir
get_trial_id = _context.get_trial_id
get_trial_name = _context.get_trial_name
get_trial_resources = _context.get_trial_resources
get_world_rank = _context.get_world_rank
get_world_size = _context.get_world_size

__getattr__ = names_of("ray.air.session")
