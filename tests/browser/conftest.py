"""A headless Chromium; tests that ask for it are skipped where there is none."""

import contextlib
import os
import shutil
import tempfile

import pytest


@pytest.fixture
def browser(monkeypatch):
    """A factory: `browser(width, height)` is a selenium driver with a window of that size.

    Args of the factory:
        width: Of the viewport in CSS pixels.
        height: Likewise.
        dark: Prefers a dark colour scheme.
        mobile: Emulates a touch device; the layout viewport is then exactly `width`.
        scale: Device pixels a CSS pixel.
    Console messages are kept: `driver.get_log("browser")`. All drivers end with the test.
    """
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("chromium and chromedriver are not installed")
    for name in ("no_proxy", "NO_PROXY"):  # selenium talks to its driver over HTTP
        monkeypatch.setenv(name, ",".join(filter(None, [os.environ.get(name), "127.0.0.1"])))

    with contextlib.ExitStack() as stack:

        def start(width=1280, height=900, *, dark=False, mobile=False, scale=1.0):
            options = webdriver.ChromeOptions()
            options.binary_location = chromium
            profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            for argument in (
                "--headless=new",
                "--no-sandbox",  # a root user, as in a container, has none
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--no-proxy-server",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                f"--force-device-scale-factor={scale}",
            ):
                options.add_argument(argument)
            options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
            service = webdriver.ChromeService(executable_path=chromedriver)
            driver = webdriver.Chrome(options=options, service=service)
            stack.callback(driver.quit)
            driver.set_page_load_timeout(60)
            if dark:
                scheme = [{"name": "prefers-color-scheme", "value": "dark"}]
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
            # The window has borders, and Chromium makes none narrower than 500 pixels.
            size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            return driver

        yield start
