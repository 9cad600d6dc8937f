"""The worst error of every formula of rank analysis, as a Markdown table.

    python tests/analysis/formula_errors.py

Errors are relative, in float64, over square, tall and wide matrices and several seeds.
"""

import formulas_of_adapters  # noqa: F401 - each adds its formulas to the table
import formulas_of_chance  # noqa: F401
import formulas_of_matrices  # noqa: F401
from formula_table import FORMULAS


def main():
    print("| formula | held against | worst error | bound |\n|---|---|---|---|")
    for each in FORMULAS:
        error = each.worst_error()
        print(f"| {each.name} | {each.oracle} | {error:.1e} | {each.bound:.0e} |")


if __name__ == "__main__":
    main()
