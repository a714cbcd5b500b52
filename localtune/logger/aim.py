"""The logger for Aim, which localtune does not have."""

from localtune.utils.not_here import AimLoggerCallback as AimLoggerCallback
