"""How a RabbitMQ broker of one's own is run, beside any that the machine has."""

from pathlib import Path

# Debian's script around it insists on another user, and on the system's folders.
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
ADDRESS = "127.0.0.1"


def variables(folder, names_port, own_port, node):
    """
    Return the environment of a broker that keeps all it has in a folder, and of the ``epmd`` that knows its name.

    ``epmd`` listens on ``names_port``, where the broker tells it that other nodes find ``node`` on ``own_port``.
    """
    return {
        "HOME": folder,
        "ERL_EPMD_ADDRESS": ADDRESS,
        "ERL_EPMD_PORT": names_port,
        "RABBITMQ_NODENAME": f"{node}@localhost",
        "RABBITMQ_DIST_PORT": own_port,
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
        "RABBITMQ_MNESIA_BASE": folder,
        "RABBITMQ_LOGS": "-",
        # Has the script become the broker, instead of its parent.
        "NOTIFY_SOCKET": f"{folder}/nobody",
    }
