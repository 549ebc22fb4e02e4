"""Figures, their limits, and how they are shown: a line as soon as one is measured, tables, Markdown, CSV."""
import csv
import dataclasses
import os
import statistics

# Those of every table that are first, in this order, where there is something in them; the other systems follow. "" is the verdict.
COLUMNS = ("load", "reference", "runsfs", "ratio", "limit", "")


def percentile_99(samples):
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * 0.99))]


def shown(value, unit):
    """Three digits or four; seconds as milliseconds where there are few."""
    if unit == "s" and value < 0.01:
        value, unit = 1e3 * value, "ms"
    text = f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:#.4g}" if value >= 100 else f"{value:#.3g}"
    return f"{text} {unit}".rstrip()


@dataclasses.dataclass
class Figure:
    """One row: samples of each system. The limit holds for runsfs: a ratio to the reference, where there is one, else a value
    in the figure's unit; or, by best_of, the best of the systems named."""

    section: str
    name: str
    unit: str = "s"
    reference: str | None = None
    limit: float | None = None
    best_of: tuple = ()
    statistic: object = statistics.median
    samples: dict = dataclasses.field(default_factory=dict)

    def add(self, system, *samples):
        self.samples.setdefault(system, []).extend(samples)

    def value(self, system):
        """None where it was not measured."""
        return self.statistic(self.samples[system]) if self.samples.get(system) else None

    def ratio(self, system, base=None):
        value, base = self.value(system), self.value(base or self.reference)
        return value / base if value is not None and base else None

    def allowed(self):
        """The limit, as a ratio where there is a reference; None where there is none, or no figure to derive it from."""
        if not self.best_of:
            return self.limit
        found = [ratio for system in self.best_of if (ratio := self.ratio(system)) is not None]
        return min(found, default=None)

    def verdict(self):
        reached = self.ratio("runsfs") if self.reference else self.value("runsfs")
        if self.allowed() is None or reached is None:
            return ""
        return "ok" if reached <= self.allowed() else "OVER"

    def cells(self):
        """Text by column; the columns of systems that are not the reference hold the ratio to it, or to runsfs, in parentheses."""
        cells = {"load": self.name}
        for system in self.samples:
            if (value := self.value(system)) is None:
                continue
            cells["reference" if system == self.reference else system] = text = shown(value, self.unit)
            base = self.reference or "runsfs"
            if system not in (base, "runsfs") and (ratio := self.ratio(system, base)) is not None:
                cells[system] = f"{text} ({shown(ratio, '')})"
        if (ratio := self.ratio("runsfs")) is not None:
            cells["ratio"] = f"{ratio:.2f}"
        if self.best_of and self.allowed() is not None:
            cells["limit"] = f"{self.allowed():.2f}, the best of {' and '.join(self.best_of)}"
        elif self.limit is not None:
            cells["limit"] = shown(self.limit, "" if self.reference else self.unit)
        cells[""] = self.verdict()
        if not any(self.samples.values()):
            cells["runsfs"] = "n/a"
        return cells

    def line(self):
        cells = self.cells()
        order = [column for column in COLUMNS[1:] if cells.get(column)] + [column for column in cells if column not in COLUMNS]
        said = [f"{self.reference if column == 'reference' else column} {cells[column]}".strip() for column in order]
        return f"{self.name}: {', '.join(said)}"


class Report:
    def __init__(self, remarks):
        self.remarks = remarks
        self.figures = []

    def figure(self, section, name, **description):
        self.figures.append(Figure(section, name, **description))
        return self.figures[-1]

    def tables(self):
        """Markdown: a table a section, its columns as wide as what stands in them."""
        parts = []
        for section in dict.fromkeys(figure.section for figure in self.figures):
            figures = [figure for figure in self.figures if figure.section == section]
            rows = [figure.cells() for figure in figures]
            references = {figure.reference for figure in figures if figure.reference}
            if len(references) > 1:
                for figure, row in zip(figures, rows):
                    if "reference" in row:
                        row["reference"] += f", {figure.reference}"
            present = dict.fromkeys(column for row in rows for column in row)
            columns = [column for column in COLUMNS if any(row.get(column) for row in rows)] + [c for c in present if c not in COLUMNS]
            names = {"reference": references.pop() if len(references) == 1 else "reference"}
            # A bar would end the cell.
            table = [[names.get(column, column) for column in columns]]
            table += [[row.get(column, "" if column in COLUMNS[1:] else "n/a").replace("|", "\\|") for column in columns] for row in rows]
            widths = [max(3, *(len(row[position]) for row in table)) for position in range(len(columns))]
            lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in table]
            lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
            parts.append(f"## {section}\n\n" + "\n".join(lines) + "\n")
        return "\n".join(parts)

    def markdown(self):
        return "# Benchmark\n\n" + "".join(f"- {remark}\n" for remark in self.remarks) + "\n" + self.tables()

    def write(self, directory):
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "bench.md"), "w", encoding="utf-8") as file:
            file.write(self.markdown())
        with open(os.path.join(directory, "bench.csv"), "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("section", "load", "system", "unit", "sample", "value"))
            for figure in self.figures:
                for system, samples in figure.samples.items():
                    for number, sample in enumerate(samples, 1):
                        writer.writerow((figure.section, figure.name, system, figure.unit, number, f"{sample:.9g}"))

    def over(self):
        return [figure for figure in self.figures if figure.verdict() == "OVER"]
