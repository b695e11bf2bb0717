# SPDX-License-Identifier: Apache-2.0
"""What the measurements come to: one line for each operation, array, place of the result and number of threads."""

from dataclasses import dataclass
from typing import Optional

from operations import ANSWERS, KINDS, OPERATIONS
from subjects import XENT

FASTEST_FORM = "C, fastest"  # XENT_ACCURACY_FASTEST


@dataclass
class Line:
    cell: dict
    output: str

    def __getattr__(self, name):  # shape, dtype, threads, operation, classes, bytes
        try:
            return self.cell[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def xent(self) -> Optional[dict]:
        return next((s for s in self.subjects if s["peer"] == XENT and s["output"] == self.output), None)

    @property
    def fastest(self) -> Optional[dict]:
        """Xent with XENT_ACCURACY_FASTEST, where that is something else."""
        return next((s for s in self.subjects if (s["form"], s["output"]) == (FASTEST_FORM, self.output)), None)

    def others(self):
        """Whatever else does the job, in whatever form."""
        answers = ANSWERS[self.output]
        return [s for s in self.subjects if s["peer"] != XENT and s["whole"] and s["output"] in answers]

    @property
    def best(self) -> Optional[dict]:
        return min(self.others(), key=lambda s: s["seconds"], default=None)

    def form(self, peer, form):
        return next((s for s in self.subjects if (s["peer"], s["form"]) == (peer, form)), None)

    def ratio(self, other, fastest=False):
        """How many times as long the other one takes; None where one of the two is not there, 0 if that is Xent."""
        own = self.fastest if fastest else self.xent
        if not other:
            return None
        return other["seconds"] / own["seconds"] if own else 0.0

    @property
    def limit(self):
        """Seconds of the passes over memory that the operation cannot do without, the best kind of each."""
        return self._fastest(OPERATIONS[self.operation].limits[self.output])

    @property
    def work(self):
        """Seconds of the arithmetic that it cannot do without; 0 where that is not counted."""
        names = OPERATIONS[self.operation].work
        return self._fastest(names) if self.passes.keys() & set(names) else 0.0  # not of another processor, or an older run

    def _fastest(self, names):
        return sum(min(self.passes[k] for k in KINDS.get(n, (n,)) if k in self.passes) for n in names)

    @property
    def least(self):
        """Seconds that no order of Xent's operations could take less than, on this machine."""
        return max(self.limit, self.work)

    @property
    def share(self):
        return self.limit / self.xent["seconds"] if self.xent else 0.0

    @property
    def peak(self):
        """(Xent's extra bytes, the best peer's); a fresh result is part of them."""
        return tuple(s["extra_bytes"] if s else None for s in (self.xent, self.best))

    def moved(self, subject):
        """Bytes a second that the operation needs to be moved."""
        passes = OPERATIONS[self.operation].limits[self.output]
        return sum(1 if name == "read" else 2 for name in passes) * self.bytes / subject["seconds"]


def all_lines(results):
    found = []
    for process in results["processes"]:
        for cell in process["cells"]:
            found += [Line(cell, output) for output in OPERATIONS[cell["operation"]].limits]
    return found
