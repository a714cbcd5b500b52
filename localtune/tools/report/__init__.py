"""One HTML file that shows an experiment: ``localtune report``, or :func:`write_report`.

::

    experiment --> content.Content --> page.render --> one file
                     curves, timeline, importance, reproduce     (what is shown)
                     markup, sections, assets/                   (how)

The package is not named ``report``: ``localtune.report`` is the function of trials.
"""

from __future__ import annotations

from localtune.tools.report.write import write_report

__all__ = ["write_report"]
