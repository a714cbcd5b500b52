from __future__ import annotations

import subprocess
import sys

import pytest

from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.create import create_searcher
from localtune.search.optuna import OptunaSearch


@pytest.mark.parametrize("name", ["random", "variant_generator", "Random"])
def test_the_default_search_is_made_by_name(name: str) -> None:
    assert isinstance(create_searcher(name, max_concurrent=1), BasicVariantGenerator)


def test_optuna_is_made_by_name_with_the_arguments_that_it_takes() -> None:
    made = create_searcher("Optuna", metric="loss", mode="min", depth=3)

    assert isinstance(made, OptunaSearch)
    assert made.metric == "loss"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'optuna'"):
        create_searcher("optunna")


def test_a_name_imports_only_its_own_library() -> None:
    program = (
        "import sys; from localtune.search.create import create_searcher; "
        "create_searcher('random'); assert 'optuna' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(("name", "instead"), [("hebo", "optuna"), ("HEBO", "ax")])
def test_the_error_for_a_missing_searcher_names_an_alternative(name: str, instead: str) -> None:
    with pytest.raises(ValueError, match=f"There is no .*'{instead}'"):
        create_searcher(name)
