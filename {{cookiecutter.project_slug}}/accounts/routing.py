from channels import route

channel_routing = [
    route("accounts-reset", "accounts.consumers.send_reset"),
]
