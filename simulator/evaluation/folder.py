"""The folder of a report on disk: parts kept as they are measured, the report, and the mark of its end.

| file | content |
|---|---|
| `report.json` | schema `dreamlane.report`: equal for equal evaluations, byte for byte |
| `environment.json` | host, versions, times, places: whatever the figures don't depend on |
| `report.md`, `report.html` | for people; the HTML is self-contained |
| `samples.parquet` | one row for each metric, horizon and clip |
| `config.yaml` | the resolved configuration |
| `parts/` | each part as it was measured, with the key of what it depends on |
| `videos/`, `*.png` | what the parts filmed and painted |
| `_complete` | written last: the hash of `report.json` |
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.evaluation.report import SCHEMA, SCHEMA_VERSION, Report, Section

PART_SCHEMA = "dreamlane.report.part"
SAMPLE_COLUMNS = ("section", "metric", "horizon", "better", "group", "unit", "value")


class ReportError(ValueError):
    """A report is missing, unfinished, damaged, foreign or of another version."""


@dataclass(frozen=True, slots=True)
class ReportFolder:
    """Where one evaluation writes."""

    path: Path

    def begin(self, config: dict[str, Any]) -> None:
        """Make the folder and write the configuration; an older report counts as unfinished."""
        import yaml

        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "_complete").unlink(missing_ok=True)
        self.write("config.yaml", yaml.safe_dump(config, sort_keys=False))

    def write(self, name: str, text: str) -> None:
        """Write a file as a whole: it is never seen half."""
        place = self.path / name
        place.parent.mkdir(exist_ok=True)
        part = place.with_name(place.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(place)

    def keep(self, part: str, key: str, section: Section) -> Section:
        """Keep a measured part; returns it as it will be read again, so both give one report."""
        content = {
            "schema": PART_SCHEMA, "schema_version": SCHEMA_VERSION, "key": key,
            "section": section.to_json(),
        }  # fmt: skip
        self.write(f"parts/{part}.json", json.dumps(content, allow_nan=False) + "\n")
        return Section.from_json(content["section"])  # type: ignore[arg-type]

    def kept(self, part: str, key: str) -> Section | None:
        """A part measured before under the same key, with all its pictures and videos; else None."""
        try:
            content = json.loads((self.path / f"parts/{part}.json").read_text(encoding="utf-8"))
            known = content["schema"], content["schema_version"], content["key"]
            if known != (PART_SCHEMA, SCHEMA_VERSION, key):
                return None
            section = Section.from_json(content["section"])
        except (OSError, ValueError, KeyError, TypeError):  # damaged is as good as absent
            return None
        files = [*section.pictures, *(video.file for video in section.videos)]
        return section if all((self.path / file).is_file() for file in files) else None

    def update(self, report: Report) -> None:
        """Write what is known so far; the page and the mark come with `finish`."""
        self.write("report.json", dumps(report.to_json()))
        self.write("environment.json", dumps(report.environment))
        self.write("report.md", report.to_markdown())

    def finish(self, report: Report) -> None:
        """Write everything, the mark last."""
        from simulator.evaluation.report_page import report_page

        self.update(report)
        write_samples(self.path / "samples.parquet", report.sections)
        self.write("report.html", report_page(report, self.path))
        self.write("_complete", file_hash(self.path / "report.json") + "\n")


def dumps(content: dict[str, Any]) -> str:
    """JSON as people can read it; the same content gives the same bytes."""
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def file_hash(path: Path) -> str:
    """BLAKE2b-128 of a file."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def write_samples(path: Path, sections: list[Section]) -> None:
    """All samples of all sections as one table, `SAMPLE_COLUMNS`; values that are NaN stay NaN."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: dict[str, list[Any]] = {name: [] for name in SAMPLE_COLUMNS}
    for section in sections:
        for s in section.samples:
            count = len(s.value)
            for name, values in (
                ("section", [section.name] * count), ("metric", [s.metric] * count),
                ("horizon", [s.horizon] * count), ("better", [s.better] * count),
                ("group", s.group), ("unit", s.unit), ("value", s.value),
            ):  # fmt: skip
                rows[name].extend(values)
    kinds = {"horizon": pa.int32(), "value": pa.float64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in SAMPLE_COLUMNS])
    part = path.with_name(path.name + ".part")
    pq.write_table(pa.table(rows, schema=schema), part)
    part.replace(path)


def read_report(folder: Path) -> dict[str, Any]:
    """report.json of a finished evaluation.

    Raises:
        ReportError: no report, an unfinished or damaged one, or another schema; says what to do.
    """
    path = folder / "report.json"
    if not path.is_file():
        raise ReportError(
            f"no report in {folder}: give the folder that `dreamlane eval ... --output` wrote"
        )
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError(f"{path} is damaged ({error}); evaluate again") from error
    version = content.get("schema"), content.get("schema_version")
    if version != (SCHEMA, SCHEMA_VERSION):
        raise ReportError(
            f"{path} has schema {version[0]!r} version {version[1]!r}; this program reads"
            f" {SCHEMA!r} version {SCHEMA_VERSION}: evaluate again, or use the program that wrote it"
        )
    mark = folder / "_complete"
    if not mark.is_file():
        raise ReportError(
            f"{folder} holds an interrupted evaluation (no _complete): repeat its command, what was"
            " measured is kept"
        )
    if mark.read_text(encoding="utf-8").strip() != file_hash(path):
        raise ReportError(f"{path} was changed after its evaluation ended: evaluate again")
    return content
