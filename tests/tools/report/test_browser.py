"""The report in a real browser: it loads without errors, draws, sorts, copies, asks nobody."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.search.sample import choice, grid_search, loguniform
from localtune.tools.report import write_report
from tests.heavy import long_but
from tests.small_runs import fit
from tests.tools.report.browser import BROWSER, DRIVER, started_browser

pytestmark = pytest.mark.slow

EVIL = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
_WAIT_S = 20
_READY = "return document.body.dataset.ready === 'true'"


def trains(config: dict[str, Any]) -> None:
    """Reports a loss four times; the third trial fails with markup in its words."""
    if config["number"] == 2:
        raise ValueError(f"no {EVIL}")
    for step in range(1, 5):
        loss = abs(math.log10(config["lr"]) + 3) / step
        tune.report({"loss": loss, "nested": {"<b>x</b>": step}})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of an experiment of twelve trials."""
    folder = tmp_path_factory.mktemp("report")
    space = {
        "number": grid_search(list(range(12))),
        "lr": loguniform(1e-5, 1e-1),
        "act": choice(["relu", EVIL, None]),
        "<i>k</i>\"'": choice([True, False]),
    }
    fit(trains, folder, space, name="run", metric="loss", mode="min", seed=1)
    return Path(write_report(folder / "run", folder / "report.html"))


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory, page: Path) -> Iterator[Any]:
    if not (BROWSER and DRIVER):
        pytest.fail("A CI service needs the packages chromium and chromium-driver.")
    with started_browser(tmp_path_factory.mktemp("browser")) as driver:
        # The process that draws pages from files is there from now on.
        driver.get(page.as_uri())
        yield driver


@pytest.fixture
def show(driver: Any, page: Path) -> Callable[..., Any]:
    """Opens the page with some width and colours, and waits until its charts are drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    def open_page(width: int = 1280, scheme: str = "light", path: Path = page) -> Any:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for kind in ("browser", "performance"):
            driver.get_log(kind)  # What earlier pages have left there.
        driver.get(path.as_uri())
        WebDriverWait(driver, _WAIT_S).until(lambda it: it.execute_script(_READY))
        return driver

    return open_page


def count(driver: Any, selector: str) -> int:
    found: int = driver.execute_script(
        "return document.querySelectorAll(arguments[0]).length", selector
    )
    return found


def column(driver: Any, title: str) -> list[str]:
    """The texts of a column of the table, from the top, as far as they are shown."""
    script = """
        const table = document.getElementById("trial-table");
        const at = [...table.tHead.rows[0].cells].findIndex((each) =>
          each.textContent === arguments[0]);
        return [...table.tBodies[0].rows].filter((row) => !row.hidden)
          .map((row) => row.cells[at].textContent);
    """
    texts: list[str] = driver.execute_script(script, title)
    return texts


@pytest.mark.parametrize(("width", "scheme"), long_but([(1280, "light")], LOOKS))
def test_the_page_loads_without_errors_and_draws_all_charts(
    show: Callable[..., Any], width: int, scheme: str
) -> None:
    driver = show(width, scheme)

    assert driver.get_log("browser") == []
    assert count(driver, "#curves-chart .scatterlayer .trace") == 6  # five, and the rest
    assert count(driver, "#importance-chart .bars path") == 4
    assert count(driver, "#scatters-chart > div") == 4
    assert count(driver, "#scatters-chart > div:first-child path.point") == 12
    assert count(driver, "#parallel-chart .scatterlayer .trace") == 11
    assert count(driver, "#timeline-chart .bars path") == 12
    # Nothing makes the page wider than the window.
    widths = "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
    content, window = driver.execute_script(widths)
    assert content <= window
    background = "return getComputedStyle(document.body).backgroundColor"
    assert (driver.execute_script(background) == "rgb(246, 247, 249)") is (scheme == "light")


@pytest.mark.long
def test_nothing_is_asked_of_any_network(show: Callable[..., Any], page: Path) -> None:
    driver = show()

    messages = [json.loads(each["message"])["message"] for each in driver.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [page.as_uri()]


@pytest.mark.long
def test_markup_from_the_run_is_shown_and_not_run(show: Callable[..., Any]) -> None:
    driver = show()

    assert driver.title == "run - localtune report"
    assert count(driver, "img") == 0
    assert count(driver, "td b, td i, .js-plotly-plot a") == 0
    details = driver.find_element("css selector", "#failures details")
    assert not details.get_property("open")
    details.find_element("css selector", "summary").click()
    assert f"ValueError: no {EVIL}" in details.find_element("css selector", "pre").text


@pytest.mark.long
def test_a_heading_sorts_the_table_up_and_down(show: Callable[..., Any]) -> None:
    driver = show()
    losses = column(driver, "loss")
    # The best first, the one without a value last.
    assert losses[-1] == ""
    assert [float(each) for each in losses[:-1]] == sorted(float(each) for each in losses[:-1])
    assert column(driver, "#")[-1] == "2"

    def heading(title: str) -> Any:
        return driver.find_element("xpath", f"//table[@id='trial-table']//th[.='{title}']")

    assert heading("loss").get_attribute("aria-sort") == "ascending"
    heading("#").find_element("css selector", "button").click()
    assert column(driver, "#") == [str(number) for number in range(12)]
    # By keyboard, too.
    heading("#").find_element("css selector", "button").send_keys("\ue007")
    assert column(driver, "#") == [str(number) for number in reversed(range(12))]
    assert heading("#").get_attribute("aria-sort") == "descending"
    assert heading("loss").get_attribute("aria-sort") is None
    heading("loss").find_element("css selector", "button").click()
    heading("loss").find_element("css selector", "button").click()
    assert column(driver, "loss") == [*reversed(losses[:-1]), ""]


@pytest.mark.long
def test_the_table_is_filtered_by_text_and_status(show: Callable[..., Any]) -> None:
    from selenium.webdriver.support.ui import Select

    driver = show()
    Select(driver.find_element("id", "status")).select_by_visible_text("failed")

    assert column(driver, "#") == ["2"]
    assert driver.find_element("id", "shown").text == "1 of 12 trials"

    Select(driver.find_element("id", "status")).select_by_visible_text("all")
    driver.find_element("id", "filter").send_keys("relu")
    assert set(column(driver, "act")) == {"relu"}


@pytest.mark.long
def test_buttons_copy_the_snippet_and_the_configuration(show: Callable[..., Any]) -> None:
    driver = show()
    driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite"]})

    config, script = (copied_by(driver, each) for each in ("config-json", "snippet-python"))

    assert count(driver, "button.copy") == 2
    assert json.loads(config)["number"] == int(column(driver, "#")[0])
    assert "results = tune.Tuner(" in script
    driver.execute_cdp_cmd("Browser.resetPermissions", {})


def copied_by(driver: Any, source: str) -> str:
    """What the clipboard holds after a click on the button of a snippet."""
    from selenium.webdriver.support.ui import WebDriverWait

    button = driver.find_element("css selector", f"button[data-copy={source}]")
    button.click()
    WebDriverWait(driver, _WAIT_S).until(lambda _: button.text == "Copied")
    read = "navigator.clipboard.readText().then(arguments[arguments.length - 1])"
    text: str = driver.execute_async_script(read)
    return text


@pytest.mark.long
def test_controls_draw_the_curves_anew(show: Callable[..., Any]) -> None:
    from selenium.webdriver.support.ui import Select

    driver = show()
    Select(driver.find_element("id", "curve-top")).select_by_visible_text("Best 1")
    Select(driver.find_element("id", "curve-x")).select_by_visible_text("training time")
    for name in ("curve-log-x", "curve-log-y"):
        driver.find_element("id", name).click()

    assert count(driver, "#curves-chart .scatterlayer .trace") == 2
    layout = "return document.getElementById('curves-chart').layout"
    found = driver.execute_script(f"{layout}.xaxis.type + ' ' + {layout[7:]}.yaxis.type")
    assert found == "log log"
    assert driver.get_log("browser") == []


@pytest.mark.long
def test_the_pointer_shows_what_a_curve_is(show: Callable[..., Any]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    driver = show()
    best = column(driver, "#")[0]
    point = driver.find_elements(
        "css selector", "#curves-chart .scatterlayer .trace:last-child .point"
    )
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", point[2])
    ActionChains(driver).move_to_element(point[2]).perform()

    hover = "#curves-chart .hoverlayer .hovertext"
    WebDriverWait(driver, _WAIT_S).until(lambda it: count(it, hover))
    assert f"Trial {best}" in driver.find_element("css selector", hover).text


@pytest.mark.long
def test_a_print_is_light_narrow_and_without_controls(show: Callable[..., Any]) -> None:
    driver = show(scheme="dark")
    facts = """
        const chart = document.querySelector("#curves-chart .main-svg");
        return [getComputedStyle(document.body).backgroundColor, chart.clientWidth];
    """
    dark, wide = driver.execute_script(facts)

    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    light, narrow = driver.execute_script(facts)
    driver.execute_script("dispatchEvent(new Event('afterprint'))")

    assert (dark, light) == ("rgb(17, 21, 27)", "rgb(246, 247, 249)")
    # The width of a sheet of A4.
    assert narrow <= 700 < wide
    assert driver.execute_script(facts) == [dark, wide]
    driver.execute_cdp_cmd("Page.printToPDF", {})
    assert driver.get_log("browser") == []
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden = "return getComputedStyle(document.querySelector('.controls')).display"
    assert driver.execute_script(hidden) == "none"
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.long
def test_charts_follow_the_width_of_the_window(show: Callable[..., Any]) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    driver = show(1280)
    size = {"width": 700, "height": 900, "deviceScaleFactor": 1, "mobile": False}

    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    width = "return document.querySelector('#parallel-chart .main-svg').clientWidth"
    WebDriverWait(driver, _WAIT_S).until(lambda it: 500 < it.execute_script(width) < 700)
