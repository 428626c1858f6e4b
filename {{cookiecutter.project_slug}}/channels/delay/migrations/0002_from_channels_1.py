"""Bring over what waits in the table of Channels 1, whose app had a label that Django does not take any more."""

import json
from typing import Any

from django.db import migrations, models

from channels.delay.content import to_text

OLD_TABLE = "channels.delay_delayedmessage"


def bring_over(apps: Any, schema_editor: Any) -> None:
    connection = schema_editor.connection
    if OLD_TABLE not in connection.introspection.table_names():
        return
    rows = apps.get_model("channels_delay", "DelayedMessage").objects.using(connection.alias)
    old_rows = apps.get_model("channels_delay", "OldDelayedMessage").objects.using(connection.alias)
    for old in old_rows.order_by("pk"):
        rows.create(due_date=old.due_date, channel_name=old.channel_name, content=rewritten(old.content))
        old.delete()


def rewritten(text: str) -> str:
    """Return content as it is written down now: a dict may look like one of its marks."""
    try:
        return to_text(json.loads(text))
    except ValueError:
        # Nobody could have sent it. It comes along, and is parked with the reason.
        return text


class Migration(migrations.Migration):
    dependencies = [("channels_delay", "0001_initial")]
    operations = [
        # Not managed: the table is there or it is not.
        migrations.CreateModel(
            name="OldDelayedMessage",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("due_date", models.DateTimeField()),
                ("channel_name", models.CharField(max_length=512)),
                ("content", models.TextField()),
            ],
            options={"managed": False, "db_table": OLD_TABLE},
        ),
        migrations.RunPython(bring_over, migrations.RunPython.noop),
        migrations.DeleteModel(name="OldDelayedMessage"),
    ]
