"""A baked project that is really running, and people who use it in a real browser."""

import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

from ...baking import clean_environment
from ...services import free_port

PASSWORD = "river-stone-77"


class Site:
    """A project served as in production, by an interface server and by workers, which stay when that is restarted."""

    def __init__(self, project):
        self.project = project
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.workers = []
        self.mail = project / "mail"
        self.environment = clean_environment() | {
            "DEBUG": "false",
            "USE_HTTPS": "false",
            "ALLOWED_HOSTS": "127.0.0.1",
            "SITE_NAME": "Riverside",
            "SITE_DESCRIPTION": "Where the people by the river talk to each other.",
            # All visitors come from this machine, so many of them.
            "RATE_LIMITS": "false",
            "EMAIL_URL": f"filemail:///{self.mail}",
        }

    def manage(self, *arguments, code=None):
        """Run a management command, in a process of its own."""
        subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.project,
            env=self.environment,
            input=code,
            text=True,
            check=True,
            capture_output=True,
        )

    def work(self):
        """Start two worker processes."""
        self.workers = [self._run("manage.py", "runworker", "--threads", "2") for _ in range(2)]

    def start(self):
        self.process = self._run("-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "config.asgi:channel_layer")
        deadline = time.monotonic() + 120
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def _run(self, *command):
        with (self.project / "server.log").open("ab") as log:
            command = [sys.executable, *command]
            return subprocess.Popen(command, cwd=self.project, env=self.environment, stdout=log, stderr=log)

    def answers(self):
        try:
            return urllib.request.urlopen(f"{self.url}/accounts/login/", timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return
        self.send_signal(number)
        self.process.wait(30)
        self.process = None

    def close(self):
        """Stop everything."""
        self.stop()
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(30)

    @property
    def log(self):
        return (self.project / "server.log").read_text(errors="replace")


class Person:
    """Somebody with a browser window of their own. Whatever goes wrong in the page is kept."""

    def __init__(self, context, site):
        self.site = site
        self.context = context
        self.page = context.new_page()
        self.complaints = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self.dismiss)
        self.page.on("console", self.listen)

    def dismiss(self, dialog):
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def listen(self, message):
        # A browser complains of every connection that fails; the page is there to put up with it.
        if message.type == "error" and not re.search(r"WebSocket|Failed to load resource", message.text):
            self.complaints.append(message.text)

    def sign_up(self, name):
        self.page.goto(f"{self.site.url}/accounts/signup/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password:", exact=True).fill(PASSWORD)
        self.page.get_by_label("Password confirmation").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign up").click()
        self.page.get_by_role("button", name="Sign out").wait_for()

    def sign_in(self, name):
        self.page.goto(f"{self.site.url}/accounts/login/")
        self.fill_in(name)

    def fill_in(self, name):
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()

    def open_room(self, name):
        """Open a room, new or old, and wait until it is live."""
        self.page.goto(self.site.url)
        link = self.page.get_by_role("link", name=name, exact=True)
        if link.count():
            link.click()
        else:
            self.page.get_by_role("link", name="New room").click()
            self.page.get_by_label("Name of the new room").fill(name)
            self.page.get_by_role("button", name="Open the room").click()
        self.wait_until("Live")

    def wait_until(self, state, seconds=60):
        self.page.locator("#state", has_text=state).wait_for(timeout=seconds * 1000)

    def say(self, text):
        self.page.get_by_label("Message", exact=True).fill(text)
        self.page.get_by_role("button", name="Send").click()

    def wait_for(self, text, seconds=30):
        self.page.locator("#log .text", has_text=text).first.wait_for(timeout=seconds * 1000)

    def sees(self):
        """Return the messages on the screen, as (author, text)."""
        return [
            (item.locator(".author").text_content(), item.locator(".text").text_content())
            for item in self.page.locator("#log > li").all()
        ]

    def unsent(self):
        return self.page.locator("#unsent .text").all_text_contents()

    def look(self):
        """Come back to the window, as after reading another one: the page asks for what it missed."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
