"""Builds the site: pages as they are, and the reference of the API from docstrings.

README, CHANGELOG, CONTRIBUTING, docs/ --copied--+
                                                 +--> source/ --Sphinx--> the site
public modules --one page of autodoc each--------+

Links between pages work as in a checkout, as pages keep their places. Links to code become
downloads.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINKED = ("localtune", "tests", "LICENSE")

_INDEX = """\
```{{toctree}}
:hidden:
:caption: Documentation
README
{pages}
scripts/bench/README
CONTRIBUTING
CHANGELOG
```

```{{toctree}}
:hidden:
:caption: Reference
{reference}
```

# localtune

The [read-me](README.md) starts here; [all pages](docs/index.md) are in the list beside this text.
The reference below is made from the docstrings.

{list}
"""


def build(output: Path) -> int:
    """Builds the site.

    Args:
        output: Its directory; what an earlier build left there is replaced.

    Returns:
        The exit code of Sphinx.
    """
    with tempfile.TemporaryDirectory(prefix="localtune-site-") as scratch:
        source = Path(scratch, "source")
        # scripts/ holds a page, too, and a page must not be behind a link.
        for name in ("docs", "scripts"):
            # Fragments of the changelog are no pages.
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("changes"))
        for name in PAGES:
            shutil.copy(ROOT / name, source)
        for name in LINKED:
            (source / name).symlink_to(ROOT / name)
        _write_reference(source)
        settings = Path(__file__).parent
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going"]
        # Sphinx leaves alone what it did not write.
        shutil.rmtree(output, ignore_errors=True)
        return subprocess.run(
            [*command, "-c", settings, "-d", Path(scratch, "doctrees"), source, output]
        ).returncode


def _write_reference(source: Path) -> None:
    from tests.docs.reference import documented_modules, names_of

    (source / "api").mkdir()
    modules = documented_modules()
    for module in modules:
        summary = (importlib.import_module(module).__doc__ or "").strip().splitlines()[0]
        lines = [module, "=" * len(module), "", summary, "", f".. currentmodule:: {module}", ""]
        for name, value in names_of(module).items():
            kind = "class" if isinstance(value, type) else "function"
            kind = "exception" if kind == "class" and issubclass(value, BaseException) else kind
            # Where it is defined; a name that two modules export is described once.
            lines += [f".. auto{kind}:: {module}.{name}"]
            lines += ["   :members:"] if kind == "class" else []
            lines += ["   :no-index:"] if not _is_first(module, value, modules) else []
            lines += [""]
        (source / "api" / f"{module}.rst").write_text("\n".join(lines), encoding="utf-8")
    text = _INDEX.format(
        pages="\n".join(f"docs/{path.stem}" for path in _in_order(source)),
        reference="\n".join(f"api/{module}" for module in modules),
        list="\n".join(f"- [{module}](api/{module}.rst)" for module in modules),
    )
    (source / "index.md").write_text(text, encoding="utf-8")


def _is_first(module: str, value: object, modules: list[str]) -> bool:
    from tests.docs.reference import names_of

    first = next(each for each in modules if value in names_of(each).values())
    return module == first


def _in_order(source: Path) -> list[Path]:
    """The pages of docs/, in the order in which the index names them."""
    index = (source / "docs" / "index.md").read_text(encoding="utf-8")
    return sorted((source / "docs").glob("*.md"), key=lambda path: index.find(f"({path.name}"))


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]).absolute()))
