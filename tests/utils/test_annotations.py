from __future__ import annotations

from localtune.utils.annotations import PublicAPI


@PublicAPI
class Plain:
    pass


@PublicAPI(stability="beta")
class Beta:
    pass


def test_a_marked_class_is_itself() -> None:
    assert (Plain.__name__, Beta.__name__) == ("Plain", "Beta")
    assert PublicAPI(Plain) is Plain and PublicAPI()(Beta) is Beta
