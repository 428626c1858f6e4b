"""Whatever people write stays text: nothing they send becomes a part of the page."""

import json

RUN = "pwned()"
TAGS = ["script", "ScRiPt", "svg/onload=x ", "style", "iframe", "object", "embed", "base href=//x ", "form", "math"]
HANDLERS = ["onerror", "onload", "onfocus autofocus", "onmouseover", "onanimationstart", "ontoggle open"]
ELEMENTS = ["img", "details", "input", "video", "audio", "svg"]
BREAKOUTS = ['"', "'", "`", "</textarea>", "</title>", "</template>", "</p></li></ol>", "-->", "]]>", "</script>"]
ADDRESSES = ["javascript:", "java\tscript:", "JAVASCRIPT:", "data:text/html,", "vbscript:", "//evil.example/"]

PAYLOADS = (
    [f"<{tag}>{RUN}</{tag}>" for tag in TAGS]
    + [f"<{element} src=x {handler}={RUN}>" for handler in HANDLERS for element in ELEMENTS]
    + [f"{breakout}<img src=x onerror={RUN}>" for breakout in BREAKOUTS]
    + [f"{breakout} onmouseover={RUN} x={breakout}" for breakout in BREAKOUTS]
    + [f'<a href="{address}{RUN}">x</a>' for address in ADDRESSES]
    + [f"{address}{RUN}" for address in ADDRESSES]
    + [f"{{{{{RUN}}}}}", f"${{{RUN}}}", f"{{% include '{RUN}' %}}", f"#{{{RUN}}}", f"<%= {RUN} %>"]
    + [f"&lt;script&gt;{RUN}&lt;/script&gt;", f"&#60;script&#62;{RUN}&#60;/script&#62;", f"\\u003cscript>{RUN}"]
    + [f"%3Cscript%3E{RUN}%3C/script%3E", f"\u2028<script>{RUN}</script>", f"<img src=x onerror={RUN}//"]
    + [f"<!--{RUN}-->", f"<![CDATA[<script>{RUN}</script>]]>", f"<xmp><img src=x onerror={RUN}></xmp>"]
    + [f'{{"__proto__": {{"x": "{RUN}"}}}}', f"constructor.constructor('{RUN}')()", f"@import '{RUN}'"]
    + [f"<meta http-equiv=refresh content=0;url=javascript:{RUN}>", f"<link rel=import href=data:,{RUN}>"]
    + [f"<img src=x:x onerror\u00a0={RUN}>", f"\u202e<script>{RUN}</script>", f"<scr<script>ipt>{RUN}</script>"]
)

WATCH = """
    window.broken = [];
    window.pwned = () => window.broken.push("a script ran");
    addEventListener("securitypolicyviolation", (event) => window.broken.push(event.violatedDirective));
"""

CODE = """
import json, sys
from django.contrib.auth import get_user_model
from chat.models import Message, Room
payloads = json.loads({payloads!r})
room = Room.objects.get(name="Payloads")
for number, payload in enumerate(payloads):
    # Some look alike as names, which no two users have.
    author = get_user_model().objects.create(username=f"{{payload[:140]}} {{number}}")
    Message.objects.create(room=room, author=author, text=payload)
    Room.objects.get_or_create(name=payload[:80])
"""


def texts(page, selector):
    """Return the texts of the elements, after making sure that there is nothing but text in them."""
    assert page.locator(f"{selector} *").count() == 0
    return page.locator(selector).all_text_contents()


def wait_for_all(page):
    # Payloads contain each other, so none of them can be waited for by its text.
    page.locator("#log .text").nth(len(PAYLOADS) - 1).wait_for()


def test_payloads_stay_text_live_and_in_history(site, person):
    reader = person()
    reader.page.add_init_script(WATCH)
    site.manage("shell", code='from chat.models import Room; Room.objects.create(name="Payloads")')
    reader.open_room("Payloads")

    site.manage("shell", code=CODE.format(payloads=json.dumps(PAYLOADS)))
    reader.look()
    wait_for_all(reader.page)
    live = texts(reader.page, "#log .text"), texts(reader.page, "#log .author")
    broken_live = reader.page.evaluate("broken")
    reader.page.reload()
    reader.wait_until("Live")
    reader.page.get_by_role("link", name="Earlier messages").click()
    wait_for_all(reader.page)
    history = texts(reader.page, "#log .text"), texts(reader.page, "#log .author")

    assert len(PAYLOADS) >= 100
    authors = [f"{payload[:140]} {number}" for number, payload in enumerate(PAYLOADS)]
    assert live == history == (PAYLOADS, authors)
    assert broken_live == reader.page.evaluate("broken") == []


def test_payloads_as_names_of_rooms_stay_text(site, person):
    reader = person()
    reader.page.add_init_script(WATCH)
    rooms = []
    for number in (1, 2, 3):
        reader.page.goto(f"{site.url}/?page={number}")
        names = texts(reader.page, ".rooms bdi")
        rooms += zip(names, [link.get_attribute("href") for link in reader.page.locator(".rooms a").all()], strict=True)
        assert reader.page.evaluate("broken") == []
    for name, address in rooms[::4]:
        reader.page.goto(site.url + address)
        reader.wait_until("Live")

        assert texts(reader.page, "#room-name bdi") == [name]
        assert reader.page.evaluate("broken") == []

    assert {name for name, _ in rooms} == {"Payloads", *(payload[:80] for payload in PAYLOADS)}
