"""The pages for everybody: who cannot see them well, who has no mouse, who reads Chinese."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from .live_site import PASSWORD

PUBLIC = ("/accounts/login/", "/accounts/signup/", "/accounts/reset/", "/accounts/reset/sent/", "/nowhere/")
PRIVATE = ("/accounts/", "/accounts/email/", "/accounts/password/", "/new/", "/", "/rooms/the-quay/")
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 640}
# What depends on colours and sizes; all else is the same in any window.
LOOKS = {"runOnly": ["color-contrast", "scrollable-region-focusable", "target-size"]}
# What the eye and a screen reader get of a page, but for names, which are nobody's language.
READ = """
() => {
    const words = [document.title];
    for (const element of document.querySelectorAll("body *")) {
        if (element.closest("bdi, .home, script, style, noscript, [lang='en'], #id_username_helptext, time")) continue;
        for (const name of ["aria-label", "placeholder", "title"]) words.push(element.getAttribute(name) ?? "");
        for (const node of element.childNodes) if (node.nodeType === Node.TEXT_NODE) words.push(node.data);
    }
    const templates = document.querySelectorAll("template");
    for (const template of templates) words.push(template.content.textContent);
    return words;
}
"""


@pytest.fixture(scope="module", autouse=True)
def quay(site):
    code = (
        "from accounts.models import User; from chat.models import Room\n"
        f"anna = User.objects.create_user('anna', password={PASSWORD!r})\n"
        "room = Room.objects.create(name='The Quay')\n"
        "room.messages.create(text='1234', author=anna); room.messages.create(text='5678')\n"
    )
    site.manage("shell", code=code)


def barriers(page):
    """Return what axe-core calls serious or critical, in a wide light window and on a dark phone."""
    found = []
    for size, scheme, options in ((WIDE, "light", {}), (PHONE, "dark", LOOKS)):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for rule in Axe().run(page, options=options | {"resultTypes": ["violations"]}).response["violations"]:
            if rule["impact"] in ("serious", "critical"):
                found.append((page.url, scheme, rule["id"], [node["html"] for node in rule["nodes"]]))
    return found


def test_a_page_that_shuts_people_out_is_found(person):
    page = person(bypass_csp=True).page
    page.set_content("<main><input><p style='color: #eee; background: #fff'>Hardly to be seen</p></main>")

    assert {"label", "color-contrast"} <= {rule for _, _, rule, _ in barriers(page)}


def sign_up(page, name, password, button):
    page.locator("[name=username]").fill(name)
    page.locator("[name=password1]").fill(password)
    page.locator("[name=password2]").fill(password)
    page.get_by_role("button", name=button).click()


def test_no_page_shuts_anybody_out(site, person):
    anna = person(bypass_csp=True)  # axe-core is put into the pages
    page = anna.page
    found = []
    for path in PUBLIC:
        page.goto(site.url + path)
        found += barriers(page)
    page.goto(f"{site.url}/accounts/signup/")
    sign_up(page, "anna", "1", "Sign up")
    page.locator(".errorlist").first.wait_for()
    found += barriers(page)
    anna.context.clear_cookies()
    sign_up(page, "anna", "1", "Sign up")
    page.get_by_role("heading", name="This page was too old").wait_for()
    found += barriers(page)
    anna.sign_in("anna")
    for path in PRIVATE:
        page.goto(site.url + path)
        if path.startswith("/rooms/"):
            anna.wait_until("Live")
        found += barriers(page)

    assert found == []


def tab_to(page, selector):
    """Press the Tab key until an element has the focus, which can be seen each time."""
    for _ in range(30):
        page.keyboard.press("Tab")
        focus = page.evaluate(
            "([selector]) => { const { matches, style } = { matches: document.activeElement.matches(selector),"
            " style: getComputedStyle(document.activeElement) };"
            " const box = document.activeElement.getBoundingClientRect();"
            " return { matches, outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,"
            " seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight, html: document.activeElement.outerHTML };"
            "}",
            [selector],
        )
        assert focus["outline"] and focus["seen"], focus
        if focus["matches"]:
            return
    raise AssertionError(f"No way to {selector} with the Tab key.")


def test_nobody_needs_a_mouse_to_sign_up_open_a_room_write_and_sign_out(site, person):
    page = person().page
    keys = page.keyboard
    page.goto(site.url)
    tab_to(page, "a[href^='/accounts/signup/']")
    keys.press("Enter")
    page.get_by_role("heading", name="Sign up").wait_for()
    page.locator("[name=username]:focus").wait_for()
    keys.type("ben")
    for name in ("password1", "password2"):
        tab_to(page, f"[name={name}]")
        keys.type(PASSWORD)
    keys.press("Enter")
    page.get_by_role("heading", name="Rooms").wait_for()
    tab_to(page, "a[href='/new/']")
    keys.press("Enter")
    page.get_by_role("heading", name="New room").wait_for()
    tab_to(page, "[name=name]")
    keys.type("By keys alone")
    keys.press("Enter")
    page.locator("#state", has_text="Live").wait_for()
    tab_to(page, "[name=text]")
    keys.type("Hello")
    keys.press("Enter")
    page.locator("#log .text", has_text="Hello").wait_for()
    page.reload()
    page.locator("#state", has_text="Live").wait_for()
    tab_to(page, "form[action='/accounts/logout/'] button")
    keys.press("Enter")
    page.get_by_role("link", name="Sign in", exact=True).wait_for()


def test_who_reads_chinese_finds_no_english(site, person):
    page = person(locale="zh-CN").page
    page.goto(f"{site.url}/accounts/signup/")
    pages = [page.evaluate(READ)]
    lang = page.locator("html").get_attribute("lang")
    sign_up(page, "chloe", "12345678", "注册")
    page.locator(".errorlist").first.wait_for()
    pages.append(page.evaluate(READ))
    sign_up(page, "chloe", PASSWORD, "注册")
    page.get_by_role("heading", name="聊天室").wait_for()
    page.locator("#list-state", has_text="已连接").wait_for()
    pages.append(page.evaluate(READ))
    page.get_by_role("link", name="The Quay").click()
    page.locator("#state", has_text="已连接").wait_for()
    pages.append(page.evaluate(READ))

    assert lang == "zh-hans"
    said = {"Hello", site.environment["SITE_DESCRIPTION"]}
    for words in pages:
        words = {word.replace("Riverside", "").replace("The Quay", "").strip() for word in words}
        assert {word for word in words - said if re.search(r"[A-Za-z]", word)} == set()


def test_a_visitor_chooses_another_language_and_keeps_it(site, person):
    page = person().page
    page.goto(f"{site.url}/rooms/the-quay/")
    page.get_by_role("button", name="简体中文").click()
    page.locator("#state", has_text="已连接").wait_for()
    page.goto(f"{site.url}/accounts/login/")

    assert page.locator("html").get_attribute("lang") == "zh-hans"
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", name="Sign in").wait_for()
