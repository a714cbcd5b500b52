from __future__ import annotations

from localtune import search


def test_a_searcher_of_a_user_fills_in_the_messages() -> None:
    assert search.UNDEFINED_SEARCH_SPACE.format(cls="Mine", space="space").startswith(
        "Mine has no search space: pass space"
    )
    assert "metric='loss' and mode=None" in search.UNDEFINED_METRIC_MODE.format(
        cls="Mine", metric="loss", mode=None
    )
    assert search.UNRESOLVED_SEARCH_SPACE.format(par="space", cls="Mine").startswith(
        "The argument space of Mine"
    )
