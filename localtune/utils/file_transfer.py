"""Copies between machines, which localtune does not make."""

from localtune.utils.not_here import sync_dir_between_nodes as sync_dir_between_nodes
