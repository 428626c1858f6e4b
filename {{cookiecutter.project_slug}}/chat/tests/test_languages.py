import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("asked", "lang"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"),
        ("en-GB", "en"),
        ("xx, zh-hans;q=0.5", "zh-hans"),
        ("xx", "en"),
        ("", "en"),
    ],
)
def test_pages_are_in_the_language_the_browser_asks_for(client, asked, lang):
    page = client.get("/", headers={"Accept-Language": asked})

    assert f'<html lang="{lang}" dir="ltr">' in page.text
    assert ("聊天室" in page.text) == (lang == "zh-hans")
    assert "Accept-Language" in page["Vary"]


def test_who_has_chosen_a_language_keeps_it(client):
    chosen = client.post("/i18n/setlang/", {"language": "zh-hans", "next": "/accounts/login/?next=/new/"})
    page = client.get("/accounts/login/", headers={"Accept-Language": "en"})

    assert chosen["Location"] == "/accounts/login/?next=/new/"
    assert "登录" in page.text and '<html lang="zh-hans"' in page.text


def test_a_page_offers_the_other_languages_and_itself_in_them(client, room):
    page = client.get(room.get_absolute_url(), {"before": 7}).text

    assert f'name="next" value="{room.get_absolute_url()}?before=7"' in page
    assert 'name="language" value="zh-hans" lang="zh-hans"' in page
    assert 'name="language" value="en"' not in page


def test_a_language_that_is_written_from_the_right_stands_so(client, settings):
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "العربية")]

    assert '<html lang="ar" dir="rtl">' in client.get("/", headers={"Accept-Language": "ar"}).text


def test_pages_of_errors_are_in_the_language_too(client, settings):
    missing = client.get("/nowhere/", headers={"Accept-Language": "zh-CN"})

    assert '<html lang="zh-hans"' in missing.text and "页面不存在" in missing.text


def test_what_browsers_and_search_engines_ask_for_at_the_root_is_there(client):
    icon, robots = client.get("/favicon.ico"), client.get("/robots.txt")

    assert (icon.status_code, robots.status_code) == (200, 200)
    assert b"".join(icon).startswith(b"\x00\x00\x01\x00")
    assert b"".join(robots).startswith(b"User-agent: *\n")
