import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce


def count_messages(apps, schema_editor):
    rooms = apps.get_model("chat", "Room").objects.using(schema_editor.connection.alias)
    messages = apps.get_model("chat", "Message").objects.filter(room=OuterRef("pk")).order_by()
    counts = messages.values("room").annotate(count=Count("pk")).values("count")
    rooms.update(said=Coalesce(Subquery(counts), 0))


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("chat", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="room",
            name="said",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.RunPython(count_messages, migrations.RunPython.noop),
        migrations.CreateModel(
            name="LastRead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("said", models.PositiveIntegerField()),
                (
                    "room",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="chat.room"),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "room"), name="chat_read_once")],
            },
        ),
    ]
