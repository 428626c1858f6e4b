from .conftest import HOST


def test_the_site_lets_in_its_own_pages_only(serve, open_socket):
    site = serve("docs/security.md", "connect", "websocket.connect")

    assert open_socket(site).connect() == [{"accept": True}]
    assert open_socket(site, origin="https://elsewhere.example").connect() == [{"accept": False}]


def test_a_rule_of_its_own_lets_in_the_partner_only(serve, open_socket):
    site = serve("docs/security.md", "connect_partner", "websocket.connect")

    assert open_socket(site, origin="https://partner.example").connect() == [{"accept": True}]
    for origin in (f"https://{HOST}", "http://partner.example", "https://partner.example.org", ""):
        assert open_socket(site, origin=origin).connect() == [{"accept": False}]


def test_a_consumer_is_open_to_all_if_it_says_so(serve, open_socket):
    site = serve("docs/security.md", "connect_anybody", "websocket.connect")

    assert open_socket(site, origin="https://elsewhere.example").connect() == [{"accept": True}]
