use super::*;
use crate::{Columns, Encode, Impute, Needs, Recipe, Scale, StepSpec, fit};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray, new_null_array,
};
use domain::{ErrorClass, Field, FieldType};
use proptest::prelude::*;
use std::sync::Arc;

fn schema() -> EventSchema {
    let field = |name: &str, field_type| Field { name: name.to_owned(), field_type, required: false };
    EventSchema {
        fields: vec![
            field("distance", FieldType::Float),
            field("minute", FieldType::Integer),
            field("carrier", FieldType::Category),
            field("late", FieldType::Boolean),
            field("departed", FieldType::Timestamp),
        ],
    }
}

type Row = (Option<f64>, Option<i64>, Option<String>, Option<bool>, Option<i64>);

fn batch(rows: &[Row]) -> RecordBatch {
    let departed: TimestampMillisecondArray = rows.iter().map(|r| r.4).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.0).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.1).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.2.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.3).collect::<BooleanArray>()),
        Arc::new(departed.with_timezone("UTC")),
    ];
    RecordBatch::try_new(schema().arrow(), columns).unwrap()
}

fn row(distance: f64, minute: i64, carrier: &str, late: bool, departed: i64) -> Row {
    (Some(distance), Some(minute), Some(carrier.to_owned()), Some(late), Some(departed))
}

fn seen() -> RecordBatch {
    batch(&[
        row(1.0, 10, "AA", true, 1000),
        row(2.0, 20, "UA", false, 2000),
        row(3.0, 60, "AA", false, 3000),
        (None, None, None, None, None),
    ])
}

fn recipe(toml_like: &str) -> Recipe {
    serde_json::from_str(toml_like).unwrap()
}

/// Names and values of the features, column by column.
fn features(fitted: &Preprocessor, rows: &RecordBatch) -> Vec<(String, Vec<f32>)> {
    let matrix = fitted.apply(rows).unwrap();
    assert_eq!(matrix.columns().len(), fitted.features().len());
    fitted.features().iter().map(|f| f.name.clone()).zip(matrix.columns().iter().cloned()).collect()
}

/// Bits, so that NaN equals NaN.
fn bits(features: &[(String, Vec<f32>)]) -> Vec<(&str, Vec<u32>)> {
    features.iter().map(|(name, values)| (name.as_str(), values.iter().map(|v| v.to_bits()).collect())).collect()
}

fn check(fitted: &Preprocessor, rows: &RecordBatch, expected: &[(&str, &[f32])]) {
    let found = features(fitted, rows);
    let expected: Vec<(String, Vec<f32>)> = expected.iter().map(|(n, v)| ((*n).to_owned(), v.to_vec())).collect();
    assert_eq!(bits(&found), bits(&expected), "{found:?}, expected {expected:?}");
}

const NAN: f32 = f32::NAN;

#[test]
fn trees_keep_numbers_and_missing_values_and_get_ordinal_codes() {
    let fitted = fit(&Recipe::default(), "gradient_boosting", Needs::Trees, &schema(), &seen()).unwrap();
    let live = batch(&[
        row(-2.5, 7, "UA", true, 1_357_043_400_000),
        row(f64::INFINITY, -1, "XX", false, -5),
        (None, None, None, None, None),
        row(0.0, 0, "AA", true, 0),
    ]);
    check(
        &fitted,
        &live,
        &[
            ("distance", &[-2.5, f32::INFINITY, NAN, 0.0]),
            ("minute", &[7.0, -1.0, NAN, 0.0]),
            ("carrier", &[1.0, NAN, NAN, 0.0]),
            ("late", &[1.0, 0.0, NAN, 1.0]),
            ("departed", &[1_357_043_400_000.0, -5.0, NAN, 0.0]),
        ],
    );
    let categories: Vec<Option<usize>> = fitted.features().iter().map(|f| f.categories).collect();
    assert_eq!(categories, [None, None, Some(2), None, None]);
}

/// Mean and standard deviation by hand: distance 1, 2, 3 and the median 2; minute 10, 20, 60 and 20.
#[test]
fn dense_features_are_imputed_scaled_and_one_hot() {
    let fitted = fit(&Recipe::default(), "logistic_regression", Needs::Dense, &schema(), &seen()).unwrap();
    let live =
        batch(&[row(2.0, 20, "XX", false, 2000), (None, None, None, None, None), row(3.0, 65, "UA", true, 2000)]);
    let sd_distance = (0.5_f64).sqrt();
    let sd_minute = (1475.0_f64 / 4.0).sqrt();
    let sd_late = (3.0_f64 / 16.0).sqrt();
    let scaled = |x: f64, mean: f64, sd: f64| ((x - mean) / sd) as f32;
    check(
        &fitted,
        &live,
        &[
            ("distance", &[0.0, 0.0, scaled(1.0, 0.0, sd_distance)]),
            ("minute", &[scaled(20.0, 27.5, sd_minute), scaled(20.0, 27.5, sd_minute), scaled(65.0, 27.5, sd_minute)]),
            ("carrier = AA", &[0.0, 0.0, 0.0]),
            ("carrier = UA", &[0.0, 0.0, 1.0]),
            ("carrier is missing", &[0.0, 1.0, 0.0]),
            ("late", &[scaled(0.0, 0.25, sd_late), scaled(0.0, 0.25, sd_late), scaled(1.0, 0.25, sd_late)]),
            ("departed", &[0.0, 0.0, 0.0]),
        ],
    );
    assert!(fitted.features().iter().all(|f| f.categories.is_none()));
    assert_eq!(fitted.features()[3].source, "carrier");
}

fn carriers(values: &[Option<&str>]) -> (EventSchema, RecordBatch) {
    let field = Field { name: "c".to_owned(), field_type: FieldType::Category, required: false };
    let schema = EventSchema { fields: vec![field] };
    let array: ArrayRef = Arc::new(values.iter().copied().collect::<StringArray>());
    let rows = RecordBatch::try_new(schema.arrow(), vec![array]).unwrap();
    (schema, rows)
}

/// scikit-learn 1.9.1, `OneHotEncoder`; its columns, sorted by name there, matched by category:
/// `handle_unknown="ignore"`; `handle_unknown="infrequent_if_exist", max_categories=4` (its bound
/// counts the infrequent column); None as a category of its own; and `SimpleImputer("most_frequent")` before it.
#[test]
fn one_hot_is_that_of_scikit_learn() {
    let check = |step: &str, seen: &[Option<&str>], live: &[Option<&str>], expected: &[(&str, &[f32])]| {
        let (schema, rows) = carriers(seen);
        let recipe = recipe(&format!(r#"{{"step": [{{"columns": ["c"], "encode": "one_hot"{step}}}]}}"#));
        let fitted = fit(&recipe, "any", Needs::Trees, &schema, &rows).unwrap();
        check(&fitted, &carriers(live).1, expected);
    };
    let seen = ["AA", "UA", "AA", "B6", "AA", "UA", "DL", "B6", "B6", "AA", "WN"].map(Some);
    let live = ["AA", "UA", "XX", "B6", "DL", "WN"].map(Some);
    let (aa, ua, b6) = ([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    let (dl, wn) = ([0.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    check("", &seen, &live, &[("c = AA", &aa), ("c = B6", &b6), ("c = UA", &ua), ("c = DL", &dl), ("c = WN", &wn)]);
    let rest = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0];
    let expected: [(&str, &[f32]); 4] = [("c = AA", &aa), ("c = B6", &b6), ("c = UA", &ua), ("c is other", &rest)];
    check(r#", "max_categories": 3"#, &seen, &live, &expected);

    let seen = [Some("UA"), None, Some("AA"), Some("AA"), None, Some("UA")];
    let (aa, ua, none) =
        ([0.0, 0.0, 1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    check("", &seen, &seen, &[("c = AA", &aa), ("c = UA", &ua), ("c is missing", &none)]);
    let aa = [0.0, 1.0, 1.0, 1.0, 1.0, 0.0];
    check(r#", "impute": "most_frequent""#, &seen, &seen, &[("c = AA", &aa), ("c = UA", &ua)]);
}

/// Dense ordinal codes: 0 and 1 seen once each, 2 for the missing one; mean 1, sd √(2/3).
#[test]
fn dense_ordinal_codes_are_standardised_and_total() {
    let (schema, rows) = carriers(&[Some("AA"), Some("UA"), None]);
    let recipe = recipe(r#"{"step": [{"columns": "category", "encode": "ordinal"}]}"#);
    let fitted = fit(&recipe, "any", Needs::Dense, &schema, &rows).unwrap();
    let sd = (2.0_f64 / 3.0).sqrt();
    let live = carriers(&[Some("AA"), Some("UA"), None, Some("XX")]).1;
    check(&fitted, &live, &[("c", &[(-1.0 / sd) as f32, 0.0, (1.0 / sd) as f32, (1.0 / sd) as f32])]);
    assert_eq!(fitted.features()[0].categories, None);
}

#[test]
fn derived_columns_take_part_like_raw_ones() {
    let recipe = recipe(
        r#"{"derive": [{"name": "rush", "sql": "minute between 15 and 60"},
                       {"name": "half", "sql": "minute / 2"},
                       {"name": "quarter", "sql": "half / 2.0"},
                       {"name": "hour", "sql": "cast(date_part('hour', departed) as varchar)"},
                       {"name": "since", "sql": "departed - timestamp '1970-01-01T00:00:01Z'"},
                       {"name": "day", "sql": "cast(departed as date)"}],
            "step": [{"columns": ["quarter"], "scale": "min_max", "impute": "zero"}]}"#,
    );
    let fitted = fit(&recipe, "gradient_boosting", Needs::Trees, &schema(), &seen()).unwrap();
    let live = batch(&[row(0.0, 30, "AA", true, 90_000_000), (None, None, None, None, None)]);
    let found = features(&fitted, &live);
    let expected: [(&str, [f32; 2]); 6] = [
        ("rush", [1.0, NAN]),
        ("half", [15.0, NAN]),
        ("quarter", [0.5, 0.0]),
        ("hour", [NAN, NAN]),
        ("since", [89_999_000.0, NAN]),
        ("day", [86_400_000.0, NAN]),
    ];
    let expected: Vec<(String, Vec<f32>)> = expected.iter().map(|(n, v)| ((*n).to_owned(), v.to_vec())).collect();
    assert_eq!(bits(&found[5..]), bits(&expected), "{found:?}");
    assert_eq!(fitted.features()[8].categories, Some(1));
}

#[test]
fn later_steps_win_and_steps_of_other_families_do_nothing() {
    let recipe = recipe(
        r#"{"step": [{"columns": "all", "impute": "mean", "scale": "standard"},
                     {"columns": "numeric", "impute": "zero"},
                     {"columns": ["minute"], "scale": "min_max", "families": ["linear"]},
                     {"columns": ["distance"], "scale": "robust", "families": ["other"]}]}"#,
    );
    let fitted = fit(&recipe, "linear", Needs::Trees, &schema(), &seen()).unwrap();
    let found = features(&fitted, &seen());
    let (mean, sd) = (1.5_f64, (5.0_f64 / 4.0).sqrt());
    let distance: Vec<f32> = [1.0, 2.0, 3.0, 0.0].iter().map(|x| ((x - mean) / sd) as f32).collect();
    assert_eq!(found[0].1, distance);
    assert_eq!(found[1].1, [(10.0_f64 / 60.0) as f32, (20.0_f64 / 60.0) as f32, 1.0, 0.0]);
    assert!(found[2].1[3].is_nan(), "the mean is no category");
    assert_eq!(found[4].1, [-1000.0, 0.0, 1000.0, 0.0].map(|x| (x / 500_000.0_f64.sqrt()) as f32));
}

#[test]
fn recipes_are_refused_with_a_reason() {
    let check = |text: &str, expected: &str| {
        let error = fit(&recipe(text), "linear", Needs::Dense, &schema(), &seen()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.class(), ErrorClass::User);
    };
    check(r#"{"step": [{"columns": ["minut"]}]}"#, "step 1: unknown column `minut`; did you mean `minute`?");
    check(
        r#"{"step": [{"columns": "all"}, {"columns": ["zzzzzz"], "families": ["other"]}]}"#,
        "step 2: unknown column `zzzzzz`; expected one of `distance`, `minute`",
    );
    check(
        r#"{"step": [{"columns": ["carrier"], "scale": "standard"}]}"#,
        "step 1: scale does not fit column `carrier` of type category, expected impute, encode or max_categories",
    );
    check(r#"{"step": [{"columns": "category", "impute": "mean"}]}"#, "impute does not fit column `category`");
    check(r#"{"step": [{"columns": "numeric", "encode": "one_hot"}]}"#, "encode does not fit column `numeric`");
    check(r#"{"step": [{"columns": ["late"], "max_categories": 3}]}"#, "max_categories does not fit column `late`");
    check(r#"{"step": [{"columns": "all", "max_categories": 0}]}"#, "max_categories is 0, expected 1 to 65536");
    check(r#"{"derive": [{"name": "late", "sql": "1"}]}"#, "column `late` is there twice");
    check(r#"{"derive": [{"name": "x", "sql": "carier"}]}"#, "did you mean `carrier`?");
    check(r#"{"derive": [{"name": "x", "sql": "null"}]}"#, "derived column `x` has type Null, expected a number");
}

#[test]
fn recipes_read_as_the_configuration_writes_them() {
    let text = r#"{"step": [{"columns": "numeric", "impute": "median", "scale": "standard"},
                            {"columns": ["a", "b"], "encode": "ordinal", "max_categories": 9, "families": ["x"]}]}"#;
    let named = Columns::Names(vec!["a".to_owned(), "b".to_owned()]);
    let blank =
        StepSpec { columns: named, impute: None, scale: None, encode: None, max_categories: None, families: None };
    let numeric = StepSpec {
        columns: Columns::Kind(crate::ColumnKind::Numeric),
        impute: Some(Impute::Median),
        scale: Some(Scale::Standard),
        ..blank.clone()
    };
    let families = Some(vec!["x".to_owned()]);
    let ordinal = StepSpec { encode: Some(Encode::Ordinal), max_categories: Some(9), families, ..blank };
    let expected = Recipe { derive: vec![], step: vec![numeric, ordinal] };
    assert_eq!(recipe(text), expected);
    assert_eq!(recipe(&serde_json::to_string(&expected).unwrap()), expected);
    for unknown in [r#"{"steps": []}"#, r#"{"step": [{"columns": "all", "imput": "mean"}]}"#] {
        assert!(serde_json::from_str::<Recipe>(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn a_batch_of_another_shape_is_refused_by_name() {
    let fitted = fit(&Recipe::default(), "any", Needs::Dense, &schema(), &seen()).unwrap();
    let check = |rows: &RecordBatch, expected: &str| {
        let error = fitted.apply(rows).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.class(), ErrorClass::Internal);
    };
    check(&seen().project(&[0, 1, 3, 4]).unwrap(), "column `carrier` is missing from the batch");
    for (index, field) in schema().fields.iter().enumerate() {
        let other = if index == 0 { arrow::datatypes::DataType::Int64 } else { arrow::datatypes::DataType::Float64 };
        let declared = schema();
        let columns = declared.fields.iter().enumerate().map(|(i, f)| {
            let data_type = if i == index { other.clone() } else { f.field_type.arrow() };
            (f.name.clone(), new_null_array(&data_type, 2), true)
        });
        let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let expected = format!("column `{}` has type {other}, expected {}", field.name, field.field_type.arrow());
        check(&rows, &expected);
    }
    let reordered = seen().project(&[4, 3, 2, 1, 0]).unwrap();
    assert_eq!(bits(&features(&fitted, &reordered)), bits(&features(&fitted, &seen())));
    assert_eq!(fitted.input_schema(), &schema());
}

#[test]
fn a_damaged_saved_form_is_refused() {
    let fitted = fit(&every_step(), "any", Needs::Dense, &schema(), &seen()).unwrap();
    let saved = String::from_utf8(fitted.to_json().unwrap()).unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        assert!(saved.contains(from), "{from} in {saved}");
        let error = Preprocessor::from_json(saved.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("\"format\": 1", "\"format\": 2", "format 2, expected 1");
    check("\"column\": \"distance\"", "\"column\": \"minute\"", "column `minute`, expected `distance`");
    check("\"scale\": ", "\"scale\": -", "numbers are not those of a fitted step");
    check("\"scale\": ", "\"scale\": 0.0, \"x\": ", "unknown field");
    check("\"kind\": \"number\"", "\"kind\": \"magic\"", "unknown variant");
    check("minute / 2", "minut / 2", "unknown column `minut`");
    for length in 0..saved.len() {
        assert!(Preprocessor::from_json(&saved.as_bytes()[..length]).is_err(), "{length}");
    }
}

fn every_step() -> Recipe {
    recipe(
        r#"{"derive": [{"name": "half", "sql": "minute / 2"}, {"name": "first", "sql": "substr(carrier, 1, 1)"},
                       {"name": "spare", "sql": "1 / minute"}],
            "step": [{"columns": "numeric", "impute": "mean", "scale": "robust"},
                     {"columns": ["distance"], "scale": "standard"},
                     {"columns": "boolean", "impute": "most_frequent", "scale": "min_max"},
                     {"columns": ["first"], "encode": "ordinal"},
                     {"columns": ["carrier"], "max_categories": 3}]}"#,
    )
}

fn any_rows(rows: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Row>> {
    let number = prop_oneof![Just(None), (-9.0..9.0).prop_map(Some), any::<f64>().prop_map(Some)];
    let integer = prop_oneof![Just(None), (-2i64..3).prop_map(Some), any::<i64>().prop_map(Some)];
    let text = prop_oneof![Just(None), "[ab]{0,2}".prop_map(Some), any::<String>().prop_map(Some)];
    prop::collection::vec((number, integer, text, any::<Option<bool>>(), any::<Option<i64>>()), rows)
}

proptest! {
    /// Whatever was fitted on and whatever comes: rows stay in number and order, each row's
    /// features are those of the row alone, dense ones are finite, codes are in range, and what
    /// was saved and read again gives the same bits and the same bytes.
    #[test]
    fn apply_is_total_row_by_row_and_survives_saving(
        seen in any_rows(0..20),
        live in any_rows(0..12),
        dense in any::<bool>(),
        stepped in any::<bool>(),
    ) {
        let needs = if dense { Needs::Dense } else { Needs::Trees };
        let recipe = if stepped { every_step() } else { Recipe::default() };
        let fitted = fit(&recipe, "any", needs, &schema(), &batch(&seen)).unwrap();
        let saved = fitted.to_json().unwrap();
        let read = Preprocessor::from_json(&saved).unwrap();
        prop_assert_eq!(&read.to_json().unwrap(), &saved);
        prop_assert_eq!(read.features(), fitted.features());

        let rows = batch(&live);
        let whole = features(&fitted, &rows);
        let again = features(&read, &rows);
        prop_assert_eq!(bits(&whole), bits(&again));
        for i in 0..rows.num_rows() {
            let alone = features(&fitted, &rows.slice(i, 1));
            for ((_, whole), (_, alone)) in whole.iter().zip(&alone) {
                prop_assert_eq!(whole[i].to_bits(), alone[0].to_bits());
            }
        }
        for ((_, values), feature) in whole.iter().zip(fitted.features()) {
            prop_assert_eq!(values.len(), rows.num_rows());
            prop_assert!(!dense || values.iter().all(|v| v.is_finite()), "{:?} {:?}", feature, values);
            if let Some(categories) = feature.categories {
                prop_assert!(values.iter().all(|v| v.is_nan() || (0.0..categories as f32).contains(v)));
            }
        }
    }

    /// The order of the rows fitted on does not show.
    #[test]
    fn fitting_does_not_depend_on_row_order(rows in any_rows(0..20), dense in any::<bool>()) {
        let needs = if dense { Needs::Dense } else { Needs::Trees };
        let reversed: Vec<Row> = rows.iter().rev().cloned().collect();
        let one = fit(&every_step(), "any", needs, &schema(), &batch(&rows)).unwrap();
        let other = fit(&every_step(), "any", needs, &schema(), &batch(&reversed)).unwrap();
        prop_assert_eq!(one.to_json().unwrap(), other.to_json().unwrap());
    }
}
