"""The logger for Comet, which localtune does not have."""

from localtune.utils.not_here import CometLoggerCallback as CometLoggerCallback
