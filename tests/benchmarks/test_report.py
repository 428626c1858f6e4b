"""What is written of a run."""

import json

from benchmarks.report import write_report
from benchmarks.tables import with_layers_table

from ..baking import REPOSITORY

CONDITIONS = {"cpus": 2, "python": "3.13.0", "brokers": "Redis 7.0.15", "engine": "c100981", "packages": []}
PAGE = "<!-- measured: -->\n\n| old |\n\n<!-- end of what was measured -->\n"


def measured(stack, workload, rate):
    return {
        "round": 1,
        "stack": stack,
        "workload": workload,
        "ops": rate,
        "seconds": 1,
        "cpu_s": 1,
        "cpu_s_by_role": {},
    }


def test_a_run_becomes_a_page_with_its_pictures_and_the_table_of_layers_in_a_document(tmp_path):
    runs = [
        *(measured("ours-1w-daphne", "echo", 100), measured("ours-ipc-1w-daphne", "echo", 150)),
        *(measured("ours-layer-ipc", f"layer_group{members}", 10) for members in (10, 1000)),
    ]
    folder, document = tmp_path / "results", tmp_path / "layers.md"
    folder.mkdir()
    (folder / "runs.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in runs))
    (folder / "conditions.json").write_text(json.dumps(CONDITIONS))
    document.write_text(PAGE)

    write_report(folder, {"ours-1w-daphne": "one", "ours-ipc-1w-daphne": "two", "ours-layer-ipc": "three"}, document)

    assert sorted(path.name for path in folder.iterdir()) == [
        *("README.md", "broadcasts.svg", "conditions.json", "echo.svg", "runs.jsonl", "summary.json"),
    ]
    assert "![A group by the number of its members](broadcasts.svg)" in (folder / "README.md").read_text("utf-8")
    assert "| IPC | 1.50 | 0.67 |" in document.read_text("utf-8")


def test_the_page_about_layers_has_the_figures_of_the_last_run():
    page = (REPOSITORY / "docs" / "layers.md").read_text("utf-8")
    kept = json.loads((REPOSITORY / "benchmarks" / "results" / "layers" / "summary.json").read_text("utf-8"))

    assert page == with_layers_table(page, kept["summary"])
