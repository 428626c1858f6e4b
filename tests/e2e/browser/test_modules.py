"""The rules inside the page's modules, tried one by one in the browser."""

import pytest

LOG = """
async (steps) => {
    const { Log } = await import("/static/chat/log.js");
    const list = document.createElement("ol");
    const template = document.createElement("template");
    const item = template.content.appendChild(document.createElement("li"));
    for (const name of ["author", "time", "text"]) {
        const part = item.appendChild(document.createElement(name === "time" ? "time" : "p"));
        part.className = name;
    }
    const log = new Log(list, template, { me: "anna", site: "Riverside" }, false);
    const message = (pk) => ({ pk, author: "ben", text: `Message ${pk}`, created: "2026-11-23T12:00:00+00:00" });
    const answers = steps.map(([name, pk]) => {
        if (name === "put") return log.put(message(pk));
        if (name === "remove") return log.remove(pk);
        if (name === "age") for (const item of list.children) item.arrived -= 61_000;
        return log.settled;
    });
    return { answers, shown: Array.from(list.children, (item) => Number(item.dataset.pk)) };
}
"""


@pytest.fixture(scope="module")
def page(chromium, site):
    page = chromium.new_page()
    page.goto(f"{site.url}/accounts/login/")
    yield page
    page.close()


def log(page, *steps):
    return page.evaluate(LOG, list(steps))


def test_messages_stand_in_the_order_of_their_numbers_however_they_come(page):
    shown = log(page, *[("put", pk) for pk in (5, 9, 7, 1, 8, 6)])["shown"]

    assert shown == [1, 5, 6, 7, 8, 9]


def test_a_message_that_comes_twice_is_shown_once(page):
    result = log(page, ("put", 5), ("put", 5))

    assert result == {"answers": [True, False], "shown": [5]}


def test_a_message_that_was_removed_does_not_come_back(page):
    result = log(page, ("put", 5), ("remove", 5), ("put", 5))

    assert result["shown"] == []


def test_a_sync_asks_again_for_what_came_a_moment_ago(page):
    old = [("put", 3), ("put", 4), ("age", 0)]

    assert log(page, *old)["answers"][-1] == 4
    assert log(page, *old, ("put", 7), ("put", 9), ("settled", 0))["answers"][-1] == 4
    assert log(page, ("put", 3), ("put", 4), ("settled", 0))["answers"][-1] == 0


def test_a_sync_asks_again_for_twenty_messages_at_most(page):
    steps = [("put", pk) for pk in range(1, 101)]

    assert log(page, *steps, ("settled", 0))["answers"][-1] == 80


def test_pauses_between_attempts_grow_up_to_half_a_minute_and_differ(page):
    longest, shortest = page.evaluate("""
        async () => {
            const { retryDelay } = await import("/static/chat/connection.js");
            const attempts = [0, 1, 2, 3, 4, 5, 20];
            return [attempts.map((n) => retryDelay(n, () => 1)), attempts.map((n) => retryDelay(n, () => 0))];
        }
    """)

    assert longest == [1000, 2000, 4000, 8000, 16000, 30000, 30000]
    assert shortest == [0] * 7
