"""
The examples of the notes on Channels 1, in their order, as written apart from these mended misprints.

test_first_consumers    ``my_consumer`` twice, ``http_consumer``, ``ws_message``
    imports added that the example leaves out; two statements that stood on one line, ``import route
    channel_routing = [`` and ``import route from …``, each on lines of their own
test_reply_channels_in_a_set    a set in Redis, the way that groups replace
    ``name()`` is an attribute, ``name``; two brackets were not closed
    the connect consumer accepts the socket
    the disconnect consumer leaves the set; it left a group that nobody had joined
test_liveblog    the same by a group
    the brackets around the dict closed in the wrong order
test_group_chat    ``ws_add`` and ``ws_disconnect`` alone, then with ``ws_message``
    ``discard(message.reply_channel`` was not closed
test_rooms    a name from the query string
    ``query_string`` is bytes, so it is decoded for ``parse_qs``, which gives a list: its first name is kept
    a reply has no key ``username``: name and text travel as JSON in ``text``
    the pattern of the disconnect route had ``,!`` in it: all three are the same
    ``from channels.sessions import channel_session from urllib.parse …`` stood on one line
test_first_letters    the user of the visitor's session, ``session_key`` in the URL
    a key in a URL lands in logs, so the setting CHANNELS_SESSION_KEY_IN_URL asks for it
test_allowed_hosts    the decorator ``allowed_hosts_only`` on top
    a full stop ended the import; two decorators and the ``def`` stood on one line
test_includes    prefixes, a filter on the method
    the comment on import paths stood at the wrong ``include``: paths are tried as well
test_chat_messages    a channel of one's own, and a model
    ``Group`` was not imported; two imports stood on one line
test_ordering    ``enforce_ordering``
    no code in the notes; early messages wait on a channel of their own, not by ``ConsumeLater``
test_project    settings, ``asgi.py``, the channels a worker reads
    ``myproject`` and ``my_project`` are one name; settings and routing stood in one block
test_layer_settings    a layer over Redis, by its old dotted path
test_reference    consumers, messages, constructors, ``channel_layers["default"]``, AsgiHandler, the decorators
    an ordinary reply channel has a ``!``, not only full stops
    names have fewer than 200 characters, full stops included
    ``AsgiHandler(message)`` is iterated over

Left out until its layer exists: the settings with ``asgi_rabbitmq.RabbitmqChannelLayer``.
"""
