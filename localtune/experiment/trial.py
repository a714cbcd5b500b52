"""Trial, under the path that it has in Ray Tune."""

from localtune.trial.trial import Trial as Trial
