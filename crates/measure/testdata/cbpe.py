"""Writes cbpe_*.csv: reference and analysis data of NannyML as counts, and what its CBPE says of them.

    pip install numpy==1.26.4 pandas==2.2.3 scikit-learn==1.9.1 nannyml==0.13.1
    NML_DISABLE_USAGE_LOGGING=1 python cbpe.py

The data sets (synthetic_sample, synthetic_car_loan, synthetic multiclass) ship inside the package
nannyml (Apache-2.0, NannyML NV). Their scores have two decimals, so counts by score in hundredths
lose nothing.

cbpe_binary.csv     set, period, chunk, score, prediction, label (empty in analysis), rows
cbpe_three.csv      reference: R, class, score, is class, rows; confusion: C, chunk, label, prediction, rows;
                    analysis: A, chunk, prediction, score of the first class, and by space
                    SECOND[:ROWS] (the third makes up 100; rows are 1 if left out)
cbpe_expected.csv   set, period, chunk, metric, value; calibrated: set, class, 0 or 1; band: set, metric, low, high
"""
import os
import pathlib
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
warnings.filterwarnings("ignore")
import nannyml as nml
import numpy as np
import pandas as pd
from nannyml.thresholds import StandardDeviationThreshold

HERE = pathlib.Path(__file__).parent
EXPECTED = []
# No limits: the plain mean ± 3 standard deviations.
METRICS = ["accuracy", "f1", "precision", "recall", "roc_auc"]


def results(name, estimator, reference, analysis, periods, parts=()):
    estimator.fit(reference)
    frame = estimator.estimate(analysis).to_df()
    for period in periods:
        rows = frame[frame[("chunk", "period")] == period]
        for chunk, (_, row) in enumerate(rows.iterrows()):
            for metric in [*METRICS, *parts]:
                EXPECTED.append(f"value,{name},{period},{chunk},{metric},{float(row[(metric, 'value')])!r}")
    chunks = frame[frame[("chunk", "period")] == "reference"]
    for metric in ["accuracy", "f1"]:
        low, high = StandardDeviationThreshold(3, 3).thresholds(chunks[(metric, "realized")].to_numpy())
        assert np.isclose(low, chunks[(metric, "lower_threshold")].iloc[0])
        EXPECTED.append(f"band,{name},{metric},{float(low)!r},{float(high)!r}")
    return estimator


def hundredths(x):
    assert np.allclose(x * 100, np.round(x * 100))
    return np.round(x * 100).astype(int)


def binary(name, reference, analysis, label, size):
    parts = ["true_positive", "true_negative", "false_positive", "false_negative"]
    e = nml.CBPE(y_pred_proba="y_pred_proba", y_pred="y_pred", y_true=label, problem_type="classification_binary", metrics=METRICS + ["confusion_matrix"], chunk_size=size)
    results(name, e, reference, analysis, ["reference", "analysis"], parts)
    EXPECTED.append(f"calibrated,{name},1,{int(e.needs_calibration)}")
    lines = []
    for period, data in [("reference", reference), ("analysis", analysis)]:
        frame = pd.DataFrame({"chunk": np.arange(len(data)) // size, "score": hundredths(data["y_pred_proba"]), "prediction": data["y_pred"], "label": data[label].astype(int) if period == "reference" else -1})
        for key, rows in frame.groupby(["chunk", "score", "prediction", "label"]).size().items():
            lines.append(",".join([name, period, *map(str, key), str(rows)]))
    return lines


def three():
    reference, analysis, _ = nml.load_synthetic_multiclass_classification_dataset()
    classes = sorted(["prepaid_card", "highstreet_card", "upmarket_card"])
    columns = {c: f"y_pred_proba_{c}" for c in classes}
    e = nml.CBPE(y_pred_proba=columns, y_pred="y_pred", y_true="y_true", problem_type="classification_multiclass", metrics=METRICS, chunk_size=15000)
    results("three", e, reference, analysis, ["analysis"])
    number = {c: i for i, c in enumerate(classes)}
    lines = []
    for c in classes:
        EXPECTED.append(f"calibrated,three,{number[c]},{int(type(e._calibrators[c]).__name__ == 'IsotonicCalibrator')}")
        frame = pd.DataFrame({"score": hundredths(reference[columns[c]]), "is": (reference["y_true"] == c).astype(int)})
        for key, rows in frame.groupby(["score", "is"]).size().items():
            lines.append(",".join(["R", str(number[c]), *map(str, key), str(rows)]))
    frame = pd.DataFrame({"chunk": np.arange(len(reference)) // 15000, "label": reference["y_true"].map(number), "prediction": reference["y_pred"].map(number)})
    for key, rows in frame.groupby(["chunk", "label", "prediction"]).size().items():
        lines.append(",".join(["C", *map(str, key), str(rows)]))
    frame = pd.DataFrame({"chunk": np.arange(len(analysis)) // 15000, **{c: hundredths(analysis[columns[c]]) for c in classes}, "prediction": analysis["y_pred"].map(number)})
    for (chunk, prediction, first), part in frame.groupby(["chunk", "prediction", classes[0]]):
        entries = []
        for (second, third), rows in part.groupby(classes[1:]).size().items():
            assert first + second + third == 100
            entries.append(f"{second}" + (f":{rows}" if rows > 1 else ""))
        lines.append(f"A,{chunk},{prediction},{first}," + " ".join(entries))
    (HERE / "cbpe_three.csv").write_text("\n".join(lines) + "\n")


r, a, _ = nml.load_synthetic_binary_classification_dataset()
lines = binary("sample", r, a, "work_home_actual", 12500)
r, a, _ = nml.load_synthetic_car_loan_dataset()
lines += binary("car_loan", r, a, "repaid", 5000)
(HERE / "cbpe_binary.csv").write_text("\n".join(lines) + "\n")
three()
(HERE / "cbpe_expected.csv").write_text("\n".join(EXPECTED) + "\n")
