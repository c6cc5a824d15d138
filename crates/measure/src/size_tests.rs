//! Bytes of cells in a pane: panes are written every 100 ms or so, mostly of few rows.

use crate::{Cell, Row, Shape};
use domain::{Harm, Task};

/// Rows with scores that seldom repeat, a frozen baseline and a last label on each.
fn cell(task: Task, rows: u32) -> Cell {
    let mut cell = Cell::empty(Shape { task, classes: 3 });
    let harm = Harm { p0: 0.1, bets: vec![0.3, 1.0, 2.0, 4.0, 8.0], scale: 10.0 };
    for i in 0..rows {
        let part = |step: u32| f64::from(i * step % 1009) / 1009.0;
        let served: Vec<f64> = match task {
            Task::BinaryClassification | Task::Anomaly => vec![part(617)],
            Task::Clustering => vec![f64::from(i % 5), part(617), 1.0 + part(331)],
            Task::MulticlassClassification => {
                vec![part(617) / 2.0, part(331) / 2.0, 1.0 - (part(617) + part(331)) / 2.0]
            }
            Task::Regression => vec![part(617) * 100.0],
        };
        let label = match task {
            Task::Regression => part(617) * 90.0 + 1.0,
            _ => f64::from(i % 2),
        };
        let row = Row {
            served: &served,
            frozen: Some(&served),
            previous: Some(&served),
            label,
            last_label: Some(label),
            harm: Some(&harm),
        };
        cell.add(&row, 1);
    }
    cell
}

#[test]
fn cells_of_few_rows_are_few_bytes() {
    let limits: [(Task, [usize; 4]); 5] = [
        (Task::BinaryClassification, [44, 78, 263, 3139]),
        (Task::MulticlassClassification, [44, 167, 406, 2425]),
        (Task::Regression, [42, 162, 217, 606]),
        (Task::Anomaly, [44, 120, 250, 2425]),
        (Task::Clustering, [44, 160, 200, 250]),
    ];
    for (task, limits) in limits {
        for (rows, limit) in [0, 1, 10, 1000].into_iter().zip(limits) {
            let bytes = postcard::to_stdvec(&cell(task, rows)).unwrap().len();
            println!("{task:?} {rows} rows: {bytes} bytes");
            assert!(bytes <= limit, "{task:?} of {rows} rows: {bytes} bytes, at most {limit}");
        }
    }
}
