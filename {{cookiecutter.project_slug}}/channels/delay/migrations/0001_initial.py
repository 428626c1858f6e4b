from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="DelayedMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("due_date", models.DateTimeField()),
                ("channel_name", models.CharField(max_length=512)),
                ("content", models.TextField()),
                ("layer", models.CharField(default="default", max_length=100)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("taken", "Taken"), ("parked", "Parked")],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("note", models.TextField(blank=True, default="")),
                ("taken_by", models.CharField(blank=True, default="", max_length=32)),
                ("taken_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["layer", "state", "due_date"], name="channels_delay_due")],
            },
        ),
    ]
