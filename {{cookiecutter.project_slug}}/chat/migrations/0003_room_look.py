from django.db import migrations

import chat.models


def look_at_all(apps, schema_editor):
    Room = apps.get_model("chat", "Room")
    for room in Room.objects.iterator():
        room.save(update_fields=["look"])  # the field makes it of the name


class Migration(migrations.Migration):
    dependencies = [("chat", "0002_lastread")]

    operations = [
        migrations.AddField(
            model_name="room",
            name="look",
            field=chat.models.RoomLookField(db_default="", db_index=True, editable=False, max_length=64),
        ),
        migrations.RunPython(look_at_all, migrations.RunPython.noop),
    ]
