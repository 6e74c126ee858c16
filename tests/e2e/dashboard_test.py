"""The dashboard in headless Chromium against the real relay and agents: log in, look, search, revoke; on a
phone, in the dark, by keyboard. Screenshots are left in LEAT_SHOTS, if that names a folder: scripts/screenshots."""

import os
import pathlib
import time
import urllib.parse

import harness
from admin_test import KEY, AdminCase
from chat_page_test import Page
from harness import wait_until
from wire import Origin, answer


class Dashboard(AdminCase):
    def setUp(self):
        super().setUp()
        self.page = Page(self)
        self.page.size(1280, 860)

    def tearDown(self):
        self.assertEqual(self.page.complaints(), [], "of the browser, broken rules of the page's policy among them")
        super().tearDown()

    def log_in(self):
        self.page.goto(self.url)
        self.page.fill("#key", KEY)
        self.page.press("Enter")
        self.page.wait("#live", "live")

    def shot(self, name):
        folder = pathlib.Path(os.environ.get("LEAT_SHOTS", self.folder))
        folder.mkdir(parents=True, exist_ok=True)
        for scheme in ("light", "dark"):
            self.page.scheme(scheme)
            self.page.shot(str(folder / f"{name}-{scheme}.png"))
        self.page.scheme("light")

    def fits(self, name):
        wide = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        self.assertFalse(wide, f"{name}: wider than the screen")

    def test_the_way_in(self):
        self.page.goto(self.url)
        self.page.wait("#login", "Admin key")
        self.shot("dashboard-login")
        self.page.fill("#key", "a-wrong-key-of-nobody's")
        self.page.press("Enter")
        self.page.wait("#login-error", "That is not the key.")
        self.page.fill("#key", KEY)
        self.page.press("Enter")
        self.page.wait("#live", "live")
        self.assertEqual(self.page.evaluate("document.cookie"), "", "no script sees the cookie")
        self.assertNotIn(KEY, self.page.evaluate("JSON.stringify(localStorage)"))
        self.page.reload()
        self.page.wait("#live", "live")
        # Everything it has loaded is the relay's.
        origins = self.page.evaluate(
            "[...new Set(performance.getEntriesByType('resource').map((e) => new URL(e.name).origin))]")
        self.assertEqual(origins, [self.url.rstrip("/")])
        # A script in the page could not load anything from elsewhere, nor run what is inline.
        blocked = self.page.evaluate("""new Promise((tell) => {
          document.addEventListener('securitypolicyviolation', (e) => tell(e.effectiveDirective), { once: true });
          const image = document.createElement('img');
          image.src = 'http://127.0.0.1:1/x.png';
          document.body.append(image);
        })""")
        self.assertEqual(blocked, "img-src")
        self.page.click("#logout")
        self.page.wait("#login", "Admin key")
        self.page.reload()
        self.page.wait("#login", "Admin key")
        self.ignore_policy_complaints()

    def ignore_policy_complaints(self):
        """Of the violation that the test has made itself."""
        complaints = [text for text in self.page.complaints() if "img-src" not in text]
        self.page.complaints = lambda: complaints

    def test_what_is_online_and_what_happens(self):
        self.log_in()
        self.page.wait("#agents", "No agent is connected")
        home = self.home()
        self.home("--id", "garden", "--public", name="raspberry", size=90_000)
        raw = Origin(self, lambda request, connection: answer(connection, b"raw"))
        self.agent(self.server, "tcp", raw.address, "--remote-port", str(self.port), name="nas")
        self.page.wait("#agents", "raspberry")  # nobody has pressed anything
        self.visit(home, "/", "/v1/models", "/v1/chat/completions", "/favicon.ico")
        self.page.wait("#recent", "/v1/chat/completions")
        self.page.wait("#rate-plot .readout", "to visitors")
        for number in range(8):  # some seconds' worth of lines in the plots
            self.visit(home, *(f"/page/{number}/{i}" for i in range(number % 4 + 1)))
            self.page.wait("#recent", f"/page/{number}/0")
        self.shot("dashboard-overview")
        self.page.press("2")
        self.page.wait("#tunnel-list", "the bytes as they are")
        self.page.wait("#tunnel-list", "requests and answers in the clear")
        self.page.wait("#tunnel-list", "/tunnel/garden/")
        self.shot("dashboard-tunnels")
        self.page.press("/")
        self.page.fill("#query", "chat/completions")
        self.page.press("Enter")
        self.page.wait("#visit-list tbody tr:only-child", "/v1/chat/completions")
        self.page.fill("#query", "")
        self.page.press("Enter")
        self.page.wait("#visit-list", "/v1/models")
        self.page.size(1280, 600)
        self.shot("dashboard-visits")
        self.page.press("Escape")
        self.page.press("4")
        self.page.wait("#usage-list", "of 2.00 MB")
        self.shot("dashboard-usage")
        self.page.size(390, 800)
        for key, name in zip("12345", ("overview", "tunnels", "visits", "usage", "access")):
            self.page.press(key)
            self.page.wait(f"#{name}", "")
            self.fits(name)
            if name in ("overview", "visits"):
                self.shot(f"dashboard-phone-{name}")

    def test_revoked_in_the_page_it_is_out_within_a_second(self):
        agent = self.home()
        self.log_in()
        self.page.press("5")
        self.page.wait("#token-list", "laptop")
        self.shot("dashboard-access")
        self.page.click("#token-list tr:has-text('laptop') >> button")
        self.page.click("#confirm button >> text=Keep")
        self.assertIsNone(agent.process.poll())
        self.page.click("#token-list tr:has-text('laptop') >> button")
        began = time.monotonic()
        self.page.click("#confirm button >> text=Revoke")
        self.assertEqual(agent.process.wait(harness.SOON), 3)
        self.assertLess(time.monotonic() - began, 1.0 * harness.PATIENCE)
        agent.process.expected_exit = 3
        self.page.wait("#token-list tr.gone", "laptop")
        self.page.fill("#token-name", "phone")
        self.page.press("Enter")
        self.page.wait("#secret", "leat_")
        self.page.wait("#token-list", "phone")

    def test_names_are_text(self):
        """What strangers say is shown, not run."""
        agent = self.home()
        self.log_in()
        self.visit(agent, "/" + urllib.parse.quote("<img src=x onerror=alert(1)>"), "/'onclick=alert(1)")
        self.page.wait("#recent", "GET /")
        self.assertEqual(self.page.count("#recent img"), 0)
        self.assertEqual(self.page.count("#recent script"), 0)

    def test_by_keyboard(self):
        agent = self.home()
        self.visit(agent, "/one", "/two")
        wait_until(lambda: len(self.rows()) == 2, "the log has both")
        self.log_in()
        self.page.wait("#recent", "/two")
        self.page.press("?")
        self.page.wait("#help", "next and previous row")
        self.page.press("Escape")
        self.page.press("3")
        self.page.wait("#visit-list", "/two")
        self.page.press("j")
        self.page.press("j")
        self.assertIn("/one", self.page.evaluate("document.activeElement.innerText"))
        self.page.press("k")
        self.assertIn("/two", self.page.evaluate("document.activeElement.innerText"))
        outline = self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        self.assertEqual(outline, "solid")
        self.page.press("1")
        self.page.wait("#recent", "/two")
        self.page.press("Tab")
        self.assertNotEqual(self.page.evaluate("document.activeElement.tagName"), "BODY")
        # The keyboard stays where it is when the lists come anew, …
        self.page.evaluate("document.querySelector('#agents button').focus()")
        self.home(name="other")
        self.page.wait("#agents tbody tr:nth-child(2)", "Cut")
        self.assertEqual(self.page.evaluate("document.activeElement.tagName"), "BUTTON")
        # … and goes to the search.
        self.page.press("/")
        self.page.wait("#visit-list", "/two")
        self.assertEqual(self.page.evaluate("document.activeElement.id"), "query")

    def test_the_relay_comes_back(self):
        self.log_in()
        address = self.server.state["admin_listen"]
        listen = self.server.address
        self.server.process.stop()
        self.page.wait("#live", "no connection, trying again")
        self.relay("--admin-listen", address, "--admin-key-file", self.key, folder=self.server.folder, listen=listen,
                   name="again")
        # Its sessions went with it.
        self.page.wait("#login", "Admin key")


if __name__ == "__main__":
    harness.main()
