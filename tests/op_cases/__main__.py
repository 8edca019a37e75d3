"""Counts what the table checks: `python -m tests.op_cases`."""

from rich.console import Console
from rich.table import Table

from . import CASES, OPS


def main() -> None:
    """Print for every op how far it is checked, and the sums."""
    table = Table(
        "op",
        "cases",
        "dtypes",
        "reference",
        "first",
        "second",
        "why no further",
        title="Ops and checks",
    )
    totals = [0, 0, 0]
    for name in sorted(OPS):
        rows = CASES.get(name, [])
        order = max((case.derivatives for case in rows), default=0)
        reached = [bool(rows), order >= 1, order >= 2]
        totals = [total + one for total, one in zip(totals, reached, strict=True)]
        swept = {dtype for case in rows for dtype in case.swept}
        marks = ["✓" if one else "–" for one in reached]
        reasons = {case.why_order for case in rows if order < 2 and case.why_order}
        table.add_row(name, str(len(rows)), str(len(swept)), *marks, "; ".join(sorted(reasons)))
    console = Console()
    console.print(table)
    differentiable = sum(bool(op.differentiable) for op in OPS.values())
    console.print(
        f"{len(OPS)} ops: {totals[0]} with an independent oracle; {differentiable} differentiable: "
        f"{totals[1]} checked to first order, {totals[2]} to second"
    )


main()
