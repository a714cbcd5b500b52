"""Trial, and the formats of exported models, under the path that they have in Ray Tune."""

from localtune.trial.export_format import ExportFormat as ExportFormat
from localtune.trial.trial import Trial as Trial
