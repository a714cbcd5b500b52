"""SyncConfig, under the path that it has in Ray Tune."""

from localtune.config.sync import SyncConfig as SyncConfig
