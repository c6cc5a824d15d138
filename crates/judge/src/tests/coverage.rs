//! Coverage and the maturity curve of a slice.

use super::fixtures::Script;
use crate::coverage::Covered;
use crate::windows::Moment;
use records::journal::Coverage;

#[test]
fn the_curve_says_only_what_every_row_has_reached() {
    let mut config = Script::quiet(1).config;
    (config.maturity_ms, config.horizon_ms) = (4_000, 10_000);
    let mut covered = Covered::default();
    assert_eq!((covered.share(), covered.maturity(Moment::Final, &config)), (None, vec![]));
    let change =
        |predictions, ages: &[(u8, i64)]| Coverage { slice_start_ms: 0, predictions, assumed: 1, ages: ages.to_vec() };
    // Two partitions; then a correction that moves a first label from bin 3 to bin 0.
    covered.merge(&change(6, &[(0, 1), (2, 1), (3, 2)]));
    covered.merge(&change(2, &[(4, 1)]));
    covered.merge(&change(0, &[(0, 1), (3, -1)]));
    assert_eq!(covered.share(), Some(5.0 / 8.0));
    assert_eq!(covered.assumed(), 3);
    assert_eq!(covered.maturity(Moment::Closed, &config), []);
    assert_eq!(covered.maturity(Moment::Mature, &config), [(1, 2.0 / 8.0), (4, 3.0 / 8.0)]);
    let all = [(1, 2.0 / 8.0), (4, 3.0 / 8.0), (8, 4.0 / 8.0), (16, 5.0 / 8.0)];
    assert_eq!(covered.maturity(Moment::Final, &config), all);
}
