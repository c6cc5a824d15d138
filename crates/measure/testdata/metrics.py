"""Writes metrics_*.csv and metrics_expected.csv: inputs and outputs of scikit-learn and statsmodels.

    pip install numpy==1.26.4 scipy==1.17.1 scikit-learn==1.9.1 statsmodels==0.15.0
    python metrics.py

Values are scikit-learn's. Intervals: Wilson's are statsmodels'; those of the delta method take the
gradient of scikit-learn's own metric by finite differences of the sample weights, and are checked
against statsmodels' standard error of kappa and a bootstrap; MOVER, the logit
interval of average precision and the calibration error are written out below from their papers.
"""
import pathlib
import warnings

import numpy as np
from scipy.stats import norm
from sklearn import metrics as m
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
Z = norm.ppf(0.975)
OUT = []


def put(case, name, value, low=None, high=None):
    text = [f"{float(x)!r}" if x is not None else "" for x in (value, low, high)]
    OUT.append(",".join([case, name, *text]))


def wilson(k, n):
    return (k / n, *proportion_confint(k, n, method="wilson"))


def mover(parts):
    w = 1 / len(parts)
    value = sum(w * v for v, _, _ in parts)
    return (value, value - sum((w * (v - lo)) ** 2 for v, lo, _ in parts) ** 0.5, value + sum((w * (hi - v)) ** 2 for v, _, hi in parts) ** 0.5)


def mean(x):
    half = Z * x.std(ddof=1) / len(x) ** 0.5
    return x.mean(), x.mean() - half, x.mean() + half


def delta(metric, y, p, least=0.0):
    """Multinomial delta method; the gradient is numeric, of a scale-free metric of weighted cells."""
    classes = np.unique(np.r_[y, p])
    cells = [(i, j) for i in classes for j in classes]
    counts = np.array([np.sum((y == i) & (p == j)) for i, j in cells], float)
    share = counts / counts.sum()
    at = lambda w: metric([c[0] for c in cells], [c[1] for c in cells], sample_weight=w)
    value, step, gradient = metric(y, p, sample_weight=None), 1e-6, []
    for k in range(len(cells)):
        up = share.copy()
        up[k] += step
        down = share.copy()
        down[k] -= step if share[k] > 0 else 0
        gradient.append((at(up) - at(down)) / (up[k] - down[k]))
    g = np.array(gradient)
    half = Z * ((share @ g**2 - (share @ g) ** 2) / counts.sum()) ** 0.5
    draws = np.random.default_rng(1).multinomial(int(counts.sum()), share, 500)
    assert 0.9 < half / Z / np.std([at(d) for d in draws]) < 1.1
    return value, max(value - half, least), min(value + half, 1)


def ece(probability, happened, bins=16):
    at = np.minimum((probability * bins).astype(int), bins - 1)
    raw = null = 0
    for b in np.unique(at):
        s = at == b
        conf, acc, n = probability[s].mean(), happened[s].mean(), s.sum()
        raw += n / len(at) * abs(acc - conf)
        null += n / len(at) * (2 / np.pi * conf * (1 - conf) / n) ** 0.5
    return max(raw - null, 0)


def binary():
    rng = np.random.default_rng(7)
    score = rng.integers(0, 101, 400) / 100
    label = (rng.random(400) < 0.08 + 0.8 * score**2).astype(int)
    np.savetxt(HERE / "metrics_binary.csv", np.c_[score, label], fmt=["%.2f", "%d"], delimiter=",")
    pred = (score >= 0.5).astype(int)
    tp, fp, fn = np.sum(pred & label), np.sum(pred & ~label & 1), np.sum(~pred & label & 1)
    n, p = len(label), label.sum()
    put("binary", "accuracy", *wilson(np.sum(pred == label), n))
    assert np.isclose(m.accuracy_score(label, pred), np.mean(pred == label))
    recalls = [wilson(n - p - fp, n - p), wilson(tp, p)]
    assert np.isclose(m.balanced_accuracy_score(label, pred), mover(recalls)[0])
    put("binary", "balanced_accuracy", *mover(recalls))
    put("binary", "precision", m.precision_score(label, pred), *wilson(tp, tp + fp)[1:])
    put("binary", "recall", m.recall_score(label, pred), *wilson(tp, p)[1:])
    f1 = [2 * x / (1 + x) for x in wilson(tp, tp + fp + fn)]
    put("binary", "f1", m.f1_score(label, pred), *f1[1:])
    kappa = delta(m.cohen_kappa_score, label, pred, -1)
    assert np.isclose(cohens_kappa(m.confusion_matrix(label, pred)).std_kappa * Z, kappa[2] - kappa[0])
    put("binary", "kappa", *kappa)
    put("binary", "predicted_positive_share", *wilson(pred.sum(), n))
    loss = -np.log(np.maximum(np.where(label == 1, score, 1 - score), 1e-15))
    put("binary", "log_loss", *mean(loss))
    inner = (score > 0) & (score < 1)
    assert np.isclose(m.log_loss(label[inner], score[inner]), loss[inner].mean())
    put("binary", "brier", m.brier_score_loss(label, score), *mean((score - label) ** 2)[1:])
    put("binary", "ece", ece(score, label))
    put("binary", "auc", m.roc_auc_score(label, score))
    ap = m.average_precision_score(label, score)
    put("binary", "average_precision", ap)
    spread = Z / (p * ap * (1 - ap)) ** 0.5
    put("binary", "average_precision_logit", *[1 / (1 + np.exp(-np.log(ap / (1 - ap)) - s)) for s in (0, -spread, spread)])


def three():
    rng = np.random.default_rng(8)
    cuts = np.sort(rng.integers(0, 101, (500, 2)), axis=1)
    p = np.c_[cuts[:, 0], cuts[:, 1] - cuts[:, 0], 100 - cuts[:, 1]] / 100
    label = np.array([rng.choice(3, p=0.7 * q + 0.3 * np.array([0.6, 0.3, 0.1])) for q in p])
    np.savetxt(HERE / "metrics_three.csv", np.c_[p, label], fmt=["%.2f"] * 3 + ["%d"], delimiter=",")
    pred, n = p.argmax(1), len(label)
    put("three", "accuracy", *wilson(np.sum(pred == label), n))
    count = lambda a, b: np.sum(a & b)
    put("three", "balanced_accuracy", *mover([wilson(count(label == k, pred == k), np.sum(label == k)) for k in range(3)]))
    put("three", "recall_macro", m.recall_score(label, pred, average="macro"), *mover([wilson(count(label == k, pred == k), np.sum(label == k)) for k in range(3)])[1:])
    put("three", "precision_macro", m.precision_score(label, pred, average="macro"), *mover([wilson(count(label == k, pred == k), np.sum(pred == k)) for k in range(3)])[1:])
    put("three", "kappa", *delta(m.cohen_kappa_score, label, pred, -1))
    for name, f in [("f1", m.f1_score), ("precision", m.precision_score)]:
        for average in ["macro", "weighted"]:
            if (name, average) != ("precision", "macro"):
                put("three", f"{name}_{average}", *delta(lambda y, q, sample_weight: f(y, q, average=average, sample_weight=sample_weight), label, pred))
        put("three", f"{name}_micro", f(label, pred, average="micro"))
    put("three", "recall_weighted", m.recall_score(label, pred, average="weighted"))
    put("three", "recall_micro", m.recall_score(label, pred, average="micro"))
    put("three", "log_loss", -np.log(np.maximum(p[np.arange(n), label], 1e-15)).mean())
    put("three", "brier", *mean(((p - np.eye(3)[label]) ** 2).sum(1) / 2))
    put("three", "ece", ece(p.max(1), pred == label))
    put("three", "auc_macro", m.roc_auc_score(label, p, multi_class="ovr", average="macro"))


def number():
    rng = np.random.default_rng(9)
    y = np.round(rng.normal(20, 8, 300), 3)
    y[::25] = 0
    f = np.round(y + rng.gumbel(0.5, 3, 300), 3)
    np.savetxt(HERE / "metrics_number.csv", np.c_[f, y], fmt="%.3f", delimiter=",")
    put("number", "mae", m.mean_absolute_error(y, f), *mean(abs(f - y))[1:])
    put("number", "rmse", m.root_mean_squared_error(y, f))
    put("number", "bias", *mean(f - y))
    put("number", "r2", m.r2_score(y, f))
    s = y != 0
    put("number", "mape", m.mean_absolute_percentage_error(y[s], f[s]), *mean(abs((f - y)[s] / y[s]))[1:])
    put("number", "mape_skipped", (~s).sum())
    for q in (0.1, 0.5, 0.9):
        put("number", f"pinball_{q}", m.mean_pinball_loss(y, f, alpha=q))


binary()
three()
number()
(HERE / "metrics_expected.csv").write_text("case,name,value,low,high\n" + "\n".join(OUT) + "\n")
