use super::*;
use arrow::array::{
    Array, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray, make_comparator,
};
use arrow::compute::SortOptions;
use arrow::datatypes::{Field, TimeUnit};
use proptest::prelude::*;

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("minute", DataType::Int64, true),
        Field::new("distance", DataType::Float64, true),
        Field::new("carrier", DataType::Utf8, true),
        Field::new("late", DataType::Boolean, true),
        Field::new("departed", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true),
        Field::new("Tail Number", DataType::Utf8, true),
    ])
}

type Row<'a> = (Option<i64>, Option<f64>, Option<&'a str>, Option<bool>, Option<i64>);

fn batch(rows: &[Row<'_>]) -> RecordBatch {
    let departed: TimestampMillisecondArray = rows.iter().map(|r| r.4).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.1).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.2).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.3).collect::<BooleanArray>()),
        Arc::new(departed.with_timezone("UTC")),
        Arc::new(rows.iter().map(|r| r.2.map(|c| format!("N-{c}"))).collect::<StringArray>()),
    ];
    RecordBatch::try_new(Arc::new(schema()), columns).unwrap()
}

/// Three rows: whole, other values, all missing. 1357043400000 is Tuesday 2013-01-01T12:30:00Z.
fn three() -> RecordBatch {
    batch(&[
        (Some(1000), Some(2.5), Some("AA"), Some(true), Some(1_357_043_400_000)),
        (Some(0), Some(-8.0), Some("b6"), Some(false), Some(-1)),
        (None, None, None, None, None),
    ])
}

fn equal(a: &dyn Array, b: &dyn Array) -> bool {
    let compare = make_comparator(a, b, SortOptions::default()).unwrap();
    a.len() == b.len() && (0..a.len()).all(|i| compare(i, i).is_eq())
}

fn check(sql: &str, expected: impl Array) {
    let rows = three();
    let expression = Expression::compile("x", sql, &schema()).unwrap();
    let found = expression.evaluate(&rows).unwrap();
    assert_eq!(found.data_type(), expected.data_type(), "{sql}");
    assert_eq!(expression.data_type(), found.data_type(), "{sql}");
    assert!(equal(&found, &expected), "{sql}: {found:?}, expected {expected:?}");
}

#[test]
fn comparisons_and_logic() {
    let booleans = |values: [Option<bool>; 3]| BooleanArray::from(values.to_vec());
    check("minute between 960 and 1200", booleans([Some(true), Some(false), None]));
    check("minute not between 960 and 1200", booleans([Some(false), Some(true), None]));
    check("carrier in ('AA', 'UA')", booleans([Some(true), Some(false), None]));
    check("carrier like 'A%' or minute is null", booleans([Some(true), Some(false), Some(true)]));
    check("late and minute > 10.5", booleans([Some(true), Some(false), None]));
    check("not late", booleans([Some(false), Some(true), None]));
    check("late is distinct from true", booleans([Some(false), Some(true), Some(true)]));
    check("\"Tail Number\" = 'N-AA'", booleans([Some(true), Some(false), None]));
    check("departed < timestamp '2013-01-01T00:00:00Z'", booleans([Some(false), Some(true), None]));
}

#[test]
fn arithmetic_and_choice() {
    let floats = |values: [Option<f64>; 3]| Float64Array::from(values.to_vec());
    let integers = |values: [Option<i64>; 3]| Int64Array::from(values.to_vec());
    check("minute * 2 + distance", floats([Some(2002.5), Some(-8.0), None]));
    check("minute / 60", integers([Some(16), Some(0), None]));
    check("minute % 60", integers([Some(40), Some(0), None]));
    check("-distance", floats([Some(-2.5), Some(8.0), None]));
    check("distance / 0.0", floats([Some(f64::INFINITY), Some(f64::NEG_INFINITY), None]));
    check("coalesce(distance, 1.5)", floats([Some(2.5), Some(-8.0), Some(1.5)]));
    check("nullif(minute, 0)", integers([Some(1000), None, None]));
    check("case when distance < 0 then 'back' when late then 'late' else 'other' end", {
        StringArray::from(vec!["late", "back", "other"])
    });
    check("case carrier when 'AA' then 1 end", integers([Some(1), None, None]));
    check("1 + 2 * 3", integers([Some(7), Some(7), Some(7)]));
    check("greatest(minute, 5)", integers([Some(1000), Some(5), Some(5)]));
}

#[test]
fn texts_and_times() {
    let texts = |values: [Option<&str>; 3]| StringArray::from(values.to_vec());
    check("upper(carrier)", texts([Some("AA"), Some("B6"), None]));
    check("substr(carrier, 1, 1)", texts([Some("A"), Some("b"), None]));
    check("substring(carrier from 2 for 1)", texts([Some("A"), Some("6"), None]));
    check("carrier || '-x'", texts([Some("AA-x"), Some("b6-x"), None]));
    check("cast(minute as varchar)", texts([Some("1000"), Some("0"), None]));
    check("concat(carrier, '/', minute)", texts([Some("AA/1000"), Some("b6/0"), Some("/")]));
    check("regexp_like(carrier, '^[A-Z]+$')", BooleanArray::from(vec![Some(true), Some(false), None]));
    let parts = |values: [Option<i32>; 3]| arrow::array::Int32Array::from(values.to_vec());
    check("date_part('hour', departed)", parts([Some(12), Some(23), None]));
    check("extract(minute from departed)", parts([Some(30), Some(59), None]));
    check("date_part('dow', departed)", parts([Some(2), Some(3), None]));
    check("extract(year from departed)", parts([Some(2013), Some(1969), None]));
}

#[test]
fn a_row_that_cannot_be_computed_is_null_and_its_neighbours_are_not() {
    let integers = |values: [Option<i64>; 3]| Int64Array::from(values.to_vec());
    check("100 / minute", integers([Some(0), None, None]));
    check("1 / 0", integers([None, None, None]));
    check("cast(carrier as bigint)", integers([None, None, None]));
    check("cast(substr(carrier, 2, 1) as bigint)", integers([None, Some(6), None]));
    // The kernel refuses the whole batch here: least integer / -1 does not fit.
    check("(minute - 9223372036854775807 - 1) / -1", integers([Some(9_223_372_036_854_774_808), None, None]));
}

#[test]
fn the_batch_may_have_other_columns_in_another_order() {
    let rows = three().project(&[4, 2, 0]).unwrap();
    let expression = Expression::compile("x", "minute + 1", &schema()).unwrap();
    let found = expression.evaluate(&rows).unwrap();
    assert!(equal(&found, &Int64Array::from(vec![Some(1001), Some(1), None])));
    assert_eq!(expression.evaluate(&rows.slice(0, 0)).unwrap().len(), 0);
    assert_eq!(expression.name(), "x");
}

#[test]
fn a_batch_without_the_column_or_with_another_type_is_refused() {
    let expression = Expression::compile("x", "minute + 1", &schema()).unwrap();
    let check = |rows: RecordBatch, expected: &str| {
        let error = expression.evaluate(&rows).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.class(), domain::ErrorClass::Internal);
    };
    check(three().project(&[1]).unwrap(), "expression `x`: column `minute` is missing from the batch");
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let other = RecordBatch::try_from_iter([("minute", floats)]).unwrap();
    check(other, "expression `x`: column `minute` has type Float64, expected Int64");
}

#[test]
fn refusals_say_what_is_wrong() {
    let check = |sql: &str, expected: &str| {
        let error = Expression::compile("x", sql, &schema()).unwrap_err();
        assert!(error.to_string().contains(expected), "{sql}: {error}");
        assert!(error.to_string().starts_with("expression `x`: "), "{error}");
        assert_eq!(error.class(), domain::ErrorClass::User, "{error}");
    };
    check("minut + 1", "unknown column `minut` in `minut + 1`; did you mean `minute`?");
    check("Minute + 1", "unknown column `Minute` in `Minute + 1`; did you mean `minute`?");
    check("temperature", "expected one of `minute`, `distance`, `carrier`");
    check("other.minute", "unknown column `other.minute`");
    check("sum(minute)", "function `sum` in `sum(minute)` reads many rows");
    check("COUNT(*)", "function `COUNT` in `COUNT(*)` reads many rows");
    check("row_number() over ()", "function `row_number`");
    check("upper(carrier) over ()", "a window in");
    check("(select 1)", "a subquery in `(select 1)`");
    check("minute in (select 1)", "a subquery in");
    check("exists (select 1)", "a subquery in");
    check("now()", "function `now` in `now()` is not allowed, its result does not depend on the row alone");
    check("uuid()", "is not allowed, its result does not depend on the row alone");
    check("random()", "function `random`");
    check("current_date()", "function `current_date`");
    check("repeat(carrier, minute)", "its result is not bounded");
    check("uper(carrier)", "function `uper` in `uper(carrier)` is unknown; did you mean `upper`?");
    check("minute +", "syntax error in `minute +`: ");
    check("minute 1", "syntax error in `minute 1`: ");
    check("'open", "syntax error in `'open`: ");
    check("", "syntax error in ``: ");
    check("minute as m", "an alias in `minute as m`");
    check("minute; drop table x", "syntax error");
    check("minute + $1", "cannot compile");
    check("late + 1", "cannot compile `late + 1`: ");
    check("upper(carrier, carrier)", "cannot compile");
    check(&"1 + ".repeat(600), "1200 tokens, expected at most 1024");
    check(&" ".repeat(20_000), "20000 bytes, expected at most 16384");
    check(&format!("{}1{}", "(".repeat(200), ")".repeat(200)), "syntax error");
}

#[test]
fn no_source_of_time_or_chance_is_reachable() {
    for sql in ["current_timestamp", "current_date", "current_time", "localtimestamp", "current_user", "@@version"] {
        assert!(Expression::compile("x", sql, &schema()).is_err(), "{sql}");
    }
}

/// The longest chain must not overflow a thread's default stack of 2 MiB, whether it is refused
/// or not.
#[test]
fn chains_are_compiled_up_to_the_bound_and_refused_beyond() {
    let compile_and_evaluate = |sql: String| {
        let work = move || Expression::compile("x", &sql, &schema())?.evaluate(&three());
        std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap()
    };
    for (head, link) in
        [("minute", " + minute"), ("late", " or carrier = 'x'"), ("carrier", " || carrier"), ("1", " + 1")]
    {
        let within = format!("{head}{}", link.repeat(crate::compile::DEPTH_MAX - 2));
        assert_eq!(compile_and_evaluate(within).unwrap().len(), 3, "{link}");
        let beyond = format!("{head}{}", link.repeat((crate::compile::TOKENS_MAX - 1) / 4));
        let error = compile_and_evaluate(beyond).unwrap_err();
        assert_eq!(error.to_string(), "expression `x`: 65 levels, expected at most 64");
    }
}

const EXPRESSIONS: [&str; 12] = [
    "minute / (minute - 3)",
    "minute * minute - 7",
    "minute % minute",
    "cast(distance as bigint)",
    "cast(carrier as double)",
    "date_part('hour', departed)",
    "extract(week from departed)",
    "extract(epoch from date_trunc('month', departed))",
    "to_timestamp_millis(minute) > departed",
    "substr(carrier, minute, minute)",
    "case when late and 10 / minute > 2 then carrier else upper(carrier) end",
    "late and 5 % minute = 1",
];

type OwnedRow = (Option<i64>, Option<f64>, Option<String>, Option<bool>, Option<i64>);

fn any_batch() -> impl Strategy<Value = Vec<OwnedRow>> {
    let integer = prop_oneof![Just(None), (-4i64..5).prop_map(Some), any::<i64>().prop_map(Some)];
    let time = prop_oneof![Just(None), (0i64..4_000_000_000_000).prop_map(Some), any::<i64>().prop_map(Some)];
    let text = prop_oneof![Just(None), "[0-9]{1,3}".prop_map(Some), any::<String>().prop_map(Some)];
    prop::collection::vec((integer, any::<Option<f64>>(), text, any::<Option<bool>>(), time), 0..12)
}

proptest! {
    /// Any values, extremes too: no panic, exact length, and each row's value is that of the row
    /// evaluated alone, so that batch cuts cannot be seen.
    #[test]
    fn rows_are_independent_of_their_batch(rows in any_batch(), which in 0..EXPRESSIONS.len()) {
        let rows: Vec<Row<'_>> = rows.iter().map(|r| (r.0, r.1, r.2.as_deref(), r.3, r.4)).collect();
        let rows = batch(&rows);
        let expression = Expression::compile("x", EXPRESSIONS[which], &schema()).unwrap();
        let whole = expression.evaluate(&rows).unwrap();
        prop_assert_eq!(whole.len(), rows.num_rows());
        for i in 0..rows.num_rows() {
            let alone = expression.evaluate(&rows.slice(i, 1)).unwrap();
            prop_assert!(equal(&whole.slice(i, 1), &alone), "row {} of {}", i, EXPRESSIONS[which]);
        }
    }

    /// Any text is compiled or refused, never a panic.
    #[test]
    fn any_text_is_compiled_or_refused(sql in "[a-z0-9 ()+*/'\",.<>=|-]{0,40}") {
        if let Ok(expression) = Expression::compile("x", &sql, &schema()) {
            prop_assert_eq!(expression.evaluate(&three()).unwrap().len(), 3);
        }
    }
}
