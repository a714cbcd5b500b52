"""TuneContext, under the path that it has in Ray Tune."""

from localtune.trainable.session import TuneContext as TuneContext
from localtune.trainable.session import get_context as get_context
