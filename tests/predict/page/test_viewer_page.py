"""The pages in headless Chromium: what they draw, what moves, and that nothing is fetched."""

import base64
import io
import json
import re
import shutil

import chex
import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.predict.linear_faces import UNIT
from twodasl_jax.predict.meshes.mesh import colours_from_photo, mesh_vertices
from twodasl_jax.predict.meshes.mesh_files import mesh_bytes
from twodasl_jax.predict.page.server import make_app
from twodasl_jax.predict.page.server_limits import Limits
from twodasl_jax.predict.page.viewer import viewer_page

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-unsafe-swiftshader",  # WebGL without a GPU, which browsers otherwise give up on
)  # fmt: skip
DESKTOP, PHONE = (1280, 900), (360, 740)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser with a fresh profile for all tests of this module."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("left out: needs Debian's packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as started:
        yield started


@pytest.fixture(scope="module")
def page_file(tmp_path_factory, dome_face, frontal, picture):
    path = tmp_path_factory.mktemp("pages") / "a face.html"
    page = viewer_page(picture, frontal, dome_face, title="a face", code_statistics=UNIT)
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def picture():
    image = np.zeros((160, 200, 3), np.uint8)
    image[:, :100, 0], image[:, 100:, 2] = 200, 200
    return image


@pytest.fixture
def page(browser, page_file):
    """The page, freshly opened at desktop size in light colours; its log is read at the end."""
    browser.get_log("browser")
    browser.get_log("performance")
    show(browser, size=DESKTOP)
    browser.get(page_file.as_uri())
    WebDriverWait(browser, 60).until(
        lambda driver: driver.execute_script("return window.stage !== undefined")
    )
    yield browser
    # Of what WebGL says, only that reading pixels back for a picture is slow.
    said = [
        line
        for line in browser.get_log("browser")
        if "GPU stall due to Read" not in line["message"]
    ]
    assert not said


def show(browser, *, size, dark=False):
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    media = {
        "prefers-color-scheme": "dark" if dark else "light",
        "prefers-reduced-motion": "reduce",
    }
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": name, "value": value} for name, value in media.items()]},
    )


def pixels(browser):
    """What the 3D view shows now, ``(h, w, 4)``; read in the frame that draws it."""
    data = browser.execute_script(
        "stage.render(); return document.getElementById('canvas').toDataURL('image/png')"
    )
    return np.array(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert("RGBA"))


def positions(browser):
    """The vertices as they are drawn, ``(n, 3)`` millimetres."""
    browser.execute_script("stage.render()")
    flat = browser.execute_script("return [...stage.linear.geometry.attributes.position.array]")
    return np.array(flat).reshape(-1, 3)


def element(browser, name):
    return browser.find_element(By.ID, name)


def slide(browser, name, value):
    browser.execute_script(
        "const slider = document.getElementById(arguments[0]); slider.value = arguments[1];"
        "slider.dispatchEvent(new Event('input'))",
        name,
        value,
    )


def addresses(browser):
    """What the browser has asked for since this was called last."""
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]


def changed(first, second):
    return (np.abs(first.astype(int) - second.astype(int)).max(-1) > 8).mean()


def test_the_face_is_drawn_in_the_colours_of_the_photograph(page, dome_face, frontal):
    element(page, "landmarks").find_element(By.XPATH, "..").click()
    drawn = pixels(page)
    covered = drawn[..., 3] > 0
    # The dome is 100 of the 156 pixels of the frame wide: 41 % of it.
    assert covered.mean() == pytest.approx(0.41, abs=0.03)
    assert not covered[0].any()
    height, width = covered.shape
    left, right = drawn[height // 3, 2 * width // 5], drawn[height // 3, 3 * width // 5]
    assert left[0] > 100 > left[2]
    assert right[2] > 100 > right[0]
    # 16 bits over 50 mm.
    chex.assert_trees_all_close(positions(page), mesh_vertices(frontal, dome_face), atol=2e-3)


def test_a_slider_moves_vertices_and_pixels(page, dome_face, frontal):
    before, drawn = positions(page), pixels(page)
    slide(page, "shape-2", 3)
    moved = positions(page) - before
    expected = 3.0 * np.asarray(dome_face.linear.shape_basis)[1].T
    # 12 bits over 1.2 mm, times 3.
    chex.assert_trees_all_close(moved, expected.astype(moved.dtype), atol=3e-3)
    assert changed(drawn, pixels(page)) > 0.01
    assert element(page, "shape-2").get_attribute("aria-valuetext").startswith("+3.00")
    element(page, "reset").click()
    chex.assert_trees_all_close(positions(page), before, atol=1e-6)
    assert changed(drawn, pixels(page)) == 0


def test_nothing_is_asked_of_the_network(page, page_file):
    for name in ("wireframe", "colours", "behind"):
        element(page, name).find_element(By.XPATH, "..").click()
    slide(page, "expression-1", -2)
    pixels(page)
    asked = addresses(page)
    assert page_file.as_uri() in asked
    away = [
        url for url in asked if not url.startswith(("data:", "blob:")) and url != page_file.as_uri()
    ]
    assert not away
    refused = page.execute_async_script(
        "const done = arguments[0];"
        "fetch('http://127.0.0.1:9/').then(() => done('sent'), () => done('refused'))"
    )
    assert refused == "refused"
    blocked = page.get_log("browser")
    assert any("Content Security Policy" in line["message"] for line in blocked)


def test_the_mouse_turns_and_the_wheel_zooms(page):
    front = pixels(page)
    canvas = element(page, "canvas")
    ActionChains(page).move_to_element(canvas).click_and_hold().move_by_offset(
        80, 20
    ).release().perform()
    turned = pixels(page)
    assert changed(front, turned) > 0.05
    ActionChains(page).scroll_from_origin(
        webdriver.common.actions.wheel_input.ScrollOrigin.from_element(canvas), 0, -300
    ).perform()
    assert (pixels(page)[..., 3] > 0).mean() > 1.2 * (turned[..., 3] > 0).mean()


def test_two_fingers_zoom_on_a_phone(page):
    show(page, size=PHONE)
    small = (pixels(page)[..., 3] > 0).mean()
    box = element(page, "canvas").rect
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, reach in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60)):
        points = [{"x": x + side * reach, "y": y, "id": side + 1} for side in (-1, 1)]
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert (pixels(page)[..., 3] > 0).mean() > 1.5 * small


def test_everything_can_be_done_by_keyboard(page):
    reached = []
    for _ in range(60):
        page.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(page.switch_to.active_element.get_attribute("id"))
    sliders = [f"shape-{n}" for n in range(1, 13)] + [f"expression-{n}" for n in range(1, 11)]
    assert {"canvas", "landmarks", "wireframe", "reset", "download", *sliders} <= set(reached)
    canvas, front = element(page, "canvas"), pixels(page)
    canvas.send_keys(Keys.ARROW_RIGHT * 4)
    assert changed(front, pixels(page)) > 0.02
    canvas.send_keys("+0")
    assert changed(front, pixels(page)) == 0
    slider, before = element(page, "expression-1"), positions(page)
    slider.send_keys(Keys.ARROW_RIGHT * 5)
    assert np.abs(positions(page) - before).max() > 0.1
    page.execute_script("document.getElementById('wireframe').focus()")
    page.switch_to.active_element.send_keys(Keys.SPACE)
    assert changed(front, pixels(page)) > 0.02


def test_in_the_photographs_pose_the_face_covers_its_own_pixels(page, picture):
    element(page, "landmarks").find_element(By.XPATH, "..").click()
    element(page, "behind").find_element(By.XPATH, "..").click()
    over = pixels(page)[..., :3].astype(int)
    is_blue = over[..., 2] > over[..., 0]
    # Red turns to blue at x = 100, between two pixels of the photograph: on the face, whose middle
    # vertices lie there with the mean of both, where it is beside it.
    expected = (100 - (100 - 78)) / 156 * over.shape[1]
    rows = is_blue.any(axis=1)
    middle = slice(len(is_blue) // 3, -(len(is_blue) // 3))  # across the face
    assert rows[middle].all()
    for seam in (is_blue[rows].argmax(axis=1), is_blue[middle].argmax(axis=1)):
        # A pixel of the page; half a pixel of the photograph is 1.3 of them.
        assert np.abs(np.median(seam) - expected) <= 1.0


def test_it_fits_a_phone_and_follows_dark_mode(page):
    brightness = {}
    for dark in (False, True):
        for size in (DESKTOP, PHONE):
            show(page, size=size, dark=dark)
            width = page.execute_script("return document.documentElement.scrollWidth")
            assert width <= size[0]
            colour = page.execute_script(
                "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
            )
            brightness[dark] = np.mean(colour[:3])
    assert brightness[False] > 200
    assert brightness[True] < 50
    for name in ("canvas", "reset", "download", "shape-1"):
        assert element(page, name).rect["height"] >= 24, name


def test_nothing_jumps_while_the_page_is_used(page):
    def places():
        names = ("canvas", "picture", "reset", "shape-12")
        return [element(page, name).rect for name in names]

    before = places()
    slide(page, "shape-1", -2.95)
    element(page, "behind").find_element(By.XPATH, "..").click()
    assert places() == before


def test_the_download_is_the_exported_file(page, tmp_path, dome_face, frontal, picture):
    page.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    element(page, "download").click()
    expected = mesh_bytes(
        ".glb",
        mesh_vertices(frontal, dome_face),
        np.asarray(dome_face.triangles),
        colours_from_photo(picture, frontal, dome_face),
    )
    file = tmp_path / "a_face.glb"
    WebDriverWait(page, 30).until(lambda _: file.exists())
    assert file.read_bytes() == expected


def relative_luminance(colour):
    """WCAG 2's, of ``rgb(r, g, b)``."""
    encoded = np.array([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize("dark", [False, True])
def test_texts_stand_out_from_their_ground(page, dark):
    show(page, size=DESKTOP, dark=dark)
    # The ground of a text is the first ancestor that is not transparent.
    script = """
      return arguments[0].map((selector) => {
        const text = document.querySelector(selector);
        let ground = text;
        const clear = () => getComputedStyle(ground).backgroundColor.endsWith(", 0)");
        while (clear()) ground = ground.parentElement;
        return [getComputedStyle(text).color, getComputedStyle(ground).backgroundColor];
      })"""
    selectors = [
        "h1", "#summary", "#keys", "dt", "dd", "#reset", "#download", "[data-pose=front]",
        "#landmarks + span", "#wireframe + span", "summary", ".slider label", "output", "footer",
    ]  # fmt: skip
    for selector, colours in zip(selectors, page.execute_script(script, selectors), strict=True):
        darker, lighter = sorted(relative_luminance(colour) for colour in colours)
        # WCAG 2.2, level AA, for texts of ordinary size.
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (selector, colours)


def test_the_served_page_takes_a_photograph_and_shows_its_face(
    browser, serving, dome_face, frontal, picture, tmp_path
):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(picture).save(good)
    bad.write_text("no image")
    show(browser, size=PHONE)
    limits = Limits(max_upload_bytes=10**6)
    with serving(make_app(lambda image: [frontal], dome_face, limits=limits)) as port:
        browser.get(f"http://127.0.0.1:{port}/")
        browser.get_log("performance")
        said, chosen = element(browser, "status"), element(browser, "file")
        chosen.send_keys(str(bad))
        wait = WebDriverWait(browser, 60)
        wait.until(lambda _: said.text.startswith("bad.png is no image"))
        assert "error" in said.get_attribute("class")
        chosen.send_keys(str(good))
        wait.until(lambda _: said.text == "One face.")
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= PHONE[0]
        strip = browser.find_element(By.CLASS_NAME, "strip")
        wait.until(lambda driver: driver.execute_script("return arguments[0].naturalWidth", strip))
        frame = browser.find_element(By.TAG_NAME, "iframe")
        browser.execute_script("arguments[0].scrollIntoView()", frame)
        browser.switch_to.frame(frame)
        wait.until(lambda driver: driver.execute_script("return window.stage !== undefined"))
        assert (pixels(browser)[..., 3] > 0).mean() > 0.2
        browser.switch_to.default_content()
        away = [url for url in addresses(browser) if f"://127.0.0.1:{port}/" not in url]
        assert not [url for url in away if not url.startswith(("data:", "blob:"))]
        browser.get("about:blank")
    # The browser itself reports the refusal of the bad file.
    errors = [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert len(errors) == 1
    assert "422" in errors[0]


def test_without_sliders_nothing_speaks_of_them(browser, tmp_path, dome_face, frontal, picture):
    path = tmp_path / "plain.html"
    path.write_text(viewer_page(picture, frontal, dome_face, title="plain"), encoding="utf-8")
    browser.get(path.as_uri())
    WebDriverWait(browser, 60).until(
        lambda driver: driver.execute_script("return window.stage !== undefined")
    )
    assert not browser.find_element("id", "controls").is_displayed()
