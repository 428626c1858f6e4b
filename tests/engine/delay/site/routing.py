import os

from channels import route


def later(message):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{message['text']}\n")


channel_routing = [route("later", later)]
