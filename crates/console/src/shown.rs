//! The two metrics by which people see how a pipeline does: what the page draws and the closing table lists.

use domain::Task;
use serde::Serialize;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Shown {
    /// Its name in windows.
    pub(crate) metric: &'static str,
    /// What people call it.
    pub(crate) title: &'static str,
    /// Which way is better, if either is.
    better: Option<&'static str>,
}

const fn lower(metric: &'static str, title: &'static str) -> Shown {
    Shown { metric, title, better: Some("lower") }
}

const fn higher(metric: &'static str, title: &'static str) -> Shown {
    Shown { metric, title, better: Some("higher") }
}

const fn neither(metric: &'static str, title: &'static str) -> Shown {
    Shown { metric, title, better: None }
}

/// By task, after a metric that no other task has and that every window of rows has. Of clusters not the
/// inertia, whose unit is another for every version; their silhouette is that of a sample, which windows have
/// and sums over them do not.
const OF_TASKS: [(Task, &str, [Shown; 2]); 5] = [
    (Task::BinaryClassification, "predicted_positive_share", [lower("log_loss", "log loss"), higher("auc", "AUC")]),
    (Task::MulticlassClassification, "f1_micro", [lower("log_loss", "log loss"), higher("accuracy", "accuracy")]),
    (Task::Regression, "rmse", [lower("rmse", "rmse"), lower("mae", "mae")]),
    (Task::Anomaly, "alert_rate", [neither("alert_rate", "alert rate"), neither("score_mean", "mean score")]),
    (Task::Clustering, "ambiguity", [lower("ambiguity", "ambiguity"), higher("silhouette", "silhouette")]),
];

/// The task that has such metrics, and the two it is seen by; two classes where none is known yet.
pub(crate) fn of_task(is_known: impl Fn(&str) -> bool) -> (Task, [Shown; 2]) {
    let [(binary, _, of_binary), ..] = OF_TASKS;
    let found = OF_TASKS.into_iter().find(|(_, own, _)| is_known(own));
    found.map_or((binary, of_binary), |(task, _, shown)| (task, shown))
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    OF_TASKS.into_iter().flat_map(|(_, _, shown)| shown).map(|one| one.metric)
}

#[cfg(test)]
mod tests {
    use super::of_task;
    use domain::Task;
    use measure::{Performance, Shape};

    #[test]
    fn every_task_is_seen_by_metrics_of_its_own() {
        let check = |task: Task, classes: usize, rows: &[(&[f64], f64)], expected: [&str; 2]| {
            let mut sums = Performance::empty(Shape { task, classes });
            rows.iter().for_each(|(score, label)| sums.add(score, *label, 1));
            let metrics = sums.metrics();
            let (found, shown) = of_task(|name| metrics.contains_key(name));
            assert_eq!((found, shown.map(|one| one.metric)), (task, expected));
        };
        let two: &[(&[f64], f64)] = &[(&[0.2], 0.0), (&[0.7], 1.0)];
        check(Task::BinaryClassification, 2, two, ["log_loss", "auc"]);
        check(Task::BinaryClassification, 2, &[], ["log_loss", "auc"]);
        // As long as no fraud has been reported there is no area, but it is no other task.
        check(Task::BinaryClassification, 2, &[(&[0.2], 0.0)], ["log_loss", "auc"]);
        let three: &[(&[f64], f64)] = &[(&[0.2, 0.5, 0.3], 0.0), (&[0.2, 0.5, 0.3], 1.0)];
        check(Task::MulticlassClassification, 3, three, ["log_loss", "accuracy"]);
        check(Task::Regression, 0, &[(&[2.0], 3.0), (&[1.0], 1.5)], ["rmse", "mae"]);
        check(Task::Anomaly, 2, &[(&[0.1], 0.0), (&[0.9], 0.0)], ["alert_rate", "score_mean"]);
        let rows: &[(&[f64], f64)] = &[(&[0.0, 1.0, 2.0], 0.0), (&[1.0, 2.0, 8.0], 0.0)];
        check(Task::Clustering, 0, rows, ["ambiguity", "silhouette"]);
    }
}
