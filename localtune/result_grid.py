"""ResultGrid, under the path that it has in Ray Tune."""

from localtune.analysis.result_grid import ResultGrid as ResultGrid
