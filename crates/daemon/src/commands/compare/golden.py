"""Golden values of tests.rs: what Evidently, NannyML and scipy say of the two files that it writes.

`golden.py evidently` needs evidently 0.7.23 (with pandas 2.2.3), `golden.py nannyml` nannyml 0.13.1, and
`golden.py vigie` scipy alone; all with numpy 2.4.6 and scipy 1.17.1. Each prints a line per column and rule.
"""

import math
import sys

import numpy as np
import pandas as pd

STORES = ("abc", "aabca")


def frame(letter, rows, missing, amount, visits, stores, paid):
    numbers = range(rows)
    return pd.DataFrame({
        "id": [f"{letter}{i}" for i in numbers],
        "amount": [np.nan if missing(i) else amount(i) for i in numbers],
        "visits": [visits(i) for i in numbers],
        "store": [stores[i % len(stores)] for i in numbers],
        "paid": [i % paid == 0 for i in numbers],
    })


old = frame("r", 405, lambda i: i % 10 == 0, lambda i: i * 37 % 101 / 4, lambda i: i % 7, STORES[0], 2)
new = frame("c", 200, lambda i: i % 5 == 4, lambda i: i * 53 % 97 / 4 + 1, lambda i: i * i % 7, STORES[1], 4)


def evidently():
    from evidently.core.datasets import infer_column_type
    from evidently.legacy.calculations.stattests.registry import get_stattest
    from evidently.legacy.core import ColumnType

    for column in old:
        kind = infer_column_type(new[column])
        if kind not in (ColumnType.Numerical, ColumnType.Categorical):
            print(column, kind.value)
            continue
        reference, current = old[column].dropna(), new[column].dropna()
        test = get_stattest(reference, current, kind, None)
        found = test(reference, current, kind, None)
        print(column, test.name, float(found.drift_score), bool(found.drifted))


def nannyml():
    from nannyml.chunk import DefaultChunker
    from nannyml.drift.univariate.methods import FeatureType, MethodFactory
    from nannyml.thresholds import StandardDeviationThreshold

    numeric = ["jensen_shannon", "hellinger", "kolmogorov_smirnov", "wasserstein"]
    category = ["jensen_shannon", "hellinger", "l_infinity", "chi2"]
    for column in old:
        is_number = column in ("amount", "visits")
        kind = FeatureType.CONTINUOUS if is_number else FeatureType.CATEGORICAL
        for key in numeric if is_number else category:
            threshold = StandardDeviationThreshold(std_lower_multiplier=None)
            method = MethodFactory.create(key=key, feature_type=kind, chunker=DefaultChunker(), threshold=threshold)
            method.fit(old[column])
            value = method.calculate(new[column])
            p_value = getattr(method, "_p_value", None)
            print(column, key, float(value), method.upper_threshold_value, p_value, bool(method.alert(value)))


def vigie():
    from scipy.stats import ncx2

    for column in old:
        reference, current = old[column], new[column]
        if column in ("id", "store"):
            counts = reference.value_counts()
            ranked = sorted(counts.index, key=lambda value: (-counts[value], value))[:64]
            places = {value: place for place, value in enumerate(ranked)}
            bins = len(ranked) + 2
            bin_of = lambda value: places.get(value, len(ranked))
        else:
            # At most 128 distinct values: a bin for each; all current ones beyond are under or over.
            distinct = np.unique(reference.astype(float).dropna())
            middles = [a * 0.5 + b * 0.5 for a, b in zip(distinct, distinct[1:])]
            edges = np.array([distinct[0], *middles, distinct[-1]])
            bins = len(edges) + 2

            def bin_of(value):
                if math.isnan(value):
                    return bins - 1
                return int(np.searchsorted(edges, value, side="right")) - int(value == edges[-1])

        histogram = lambda values: np.bincount([bin_of(value) for value in values], minlength=bins)
        pairs, r, c = [], 0, 0
        m, n = len(reference), len(current)
        for more_r, more_c in zip(histogram(reference), histogram(current)):
            r, c = r + more_r, c + more_c
            if r > 0 and r * n >= 30 * m:
                pairs.append((r, c))
                r, c = 0, 0
        pairs[-1] = (pairs[-1][0] + r, pairs[-1][1] + c)
        shares = [(max(r, 0.5) / m, max(c, 0.5) / n) for r, c in pairs if r or c]
        psi = sum((q - p) * math.log(q / p) for p, q in shares)
        size, degrees = n / (n + m) * m, len(pairs) - 1
        null = ncx2(degrees, 0.1 * size)
        print(column, "psi", float(psi), float(null.sf(psi * size)), float(null.isf(0.05) / size))


{"evidently": evidently, "nannyml": nannyml, "vigie": vigie}[sys.argv[1]]()
