"""The page in a real browser: it must ask for nothing and run nothing."""

import http.server
import re
import shutil
import subprocess
import threading

import outputs
import pytest
from test_page import ATTACKS, hostile_output

from datatools.report.build import write_report

pytestmark = pytest.mark.browser


@pytest.fixture
def chromium(tmp_path):
    """Open a file in headless Chromium and return what it logged and the picture it took."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    assert binary, "install Chromium (Debian package chromium) to run the browser tests"
    opened = []

    def open_file(path, width=1280, height=2400):
        opened.append(path)
        picture = tmp_path / f"picture-{len(opened)}.png"
        done = subprocess.run(
            [
                binary,
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking"),
                *("--disable-component-update", "--disable-sync"),
                f"--user-data-dir={tmp_path / f'profile-{len(opened)}'}",
                "--enable-logging=stderr",
                f"--window-size={width},{height}",
                f"--screenshot={picture}",
                path.as_uri(),
            ],
            capture_output=True,
            timeout=120,
            check=True,
        )
        log = done.stderr.decode("utf-8", "replace")
        return re.findall(r"CONSOLE.*", log), picture.read_bytes()

    return open_file


@pytest.fixture
def server():
    """A server on this machine that only counts who comes."""
    paths = []

    class Counter(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counter)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_address[1]}", paths
    listening.shutdown()


def test_the_page_asks_for_nothing_and_logs_nothing(tmp_path, chromium, server):
    address, paths = server
    attacks = [text.replace("http://127.0.0.1", address) for text in ATTACKS]
    attacks += [f"<img src={address}/img>", f"<script src={address}/js></script>"]
    hostile_output(tmp_path / "out", attacks)
    page = write_report(tmp_path / "out", title=attacks[1])
    logged, picture = chromium(page)
    assert logged == []
    assert paths == []
    assert picture.startswith(b"\x89PNG")

    # The same strings as markup are noticed: the test can fail.
    control = tmp_path / "control.html"
    control.write_text(f"<meta charset=utf-8><script>console.error('seen')</script>{attacks[-2]}")
    logged, _ = chromium(control)
    assert any("seen" in line for line in logged)
    assert paths == ["/img"]


@pytest.mark.parametrize("width", [1280, 500])
def test_a_whole_report_is_drawn_without_complaint(tmp_path, chromium, width):
    outputs.whole(tmp_path / "out")
    logged, picture = chromium(write_report(tmp_path / "out"), width=width)
    assert logged == []
    assert len(picture) > 50_000  # a blank page compresses to a tenth of that
