import json

from .models import Blog


def open_stream(message, slug):
    try:
        blog = Blog.objects.get(slug=slug)
    except Blog.DoesNotExist:
        # Text opens the socket, so that the page can be told why it is closed.
        message.reply_channel.send({"text": json.dumps({"error": "There is no such blog"}), "close": True})
        return
    message.reply_channel.send({"accept": True})
    blog.readers.add(message.reply_channel)


def shut_stream(message, slug):
    try:
        blog = Blog.objects.get(slug=slug)
    except Blog.DoesNotExist:
        return
    blog.readers.discard(message.reply_channel)
