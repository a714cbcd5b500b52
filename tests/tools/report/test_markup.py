"""What comes from a run can neither end an element nor start one."""

from __future__ import annotations

import json

from localtune.tools.report.markup import Html, data_script, joined, tag

EVIL = "</script><b a='\"'>&amp;<!--\u2028"


def test_text_and_attributes_are_escaped() -> None:
    element = tag("p", EVIL, title=EVIL)

    assert "<b" not in element
    assert element.partition(">")[0].count('"') == 2
    assert "&amp;amp;" in element


def test_elements_are_not_escaped_twice() -> None:
    assert tag("p", tag("b", "1 < 2"), None, 3) == "<p><b>1 &lt; 2</b>3</p>"
    assert joined(Html("<br>"), "<br>") == "<br>&lt;br&gt;"


def test_attributes_may_be_flags() -> None:
    found = tag("input", type="checkbox", checked=True, hidden=False, aria_label="x", class_=None)

    assert found == '<input type="checkbox" checked aria-label="x">'


def test_data_comes_back_as_it_was_and_ends_no_script() -> None:
    data = {"a": [EVIL, 1.5, None], "nan": float("nan"), "inf": [float("-inf")]}

    script = data_script("data", data)

    text = script.removeprefix('<script type="application/json" id="data">')
    text = text.removesuffix("</script>")
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": [EVIL, 1.5, None], "nan": None, "inf": [None]}
