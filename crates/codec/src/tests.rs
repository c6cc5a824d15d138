use crate::format::{EventFormat, LabelFormat, Source, TimeSource, TimeUnit, Tombstone};
use crate::{Decoded, EventDecoder, LabelDecoder};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMillisecondType};
use domain::{EventSchema, Field, FieldType, Header, RawBatch, RawRecord, SourcePartition, Task, TopicRole};
use proptest::prelude::*;
use serde_json::{Value, json};

fn field(name: &str, field_type: FieldType, required: bool) -> Field {
    Field { name: name.to_owned(), field_type, required }
}

fn format() -> EventFormat {
    EventFormat {
        schema: EventSchema {
            fields: vec![
                field("carrier", FieldType::Category, false),
                field("distance", FieldType::Float, true),
                field("seats", FieldType::Integer, false),
                field("cancelled", FieldType::Boolean, false),
                field("plane.built", FieldType::Timestamp, false),
                field("plane.type", FieldType::Category, false),
            ],
        },
        id: Source::Column("id".to_owned()),
        time: TimeSource::Column { path: "time".to_owned(), unit: TimeUnit::Rfc3339 },
        tombstone: Tombstone::Reject,
    }
}

fn batch<T: AsRef<[u8]>>(values: &[Option<T>]) -> RawBatch {
    let mut batch = RawBatch::new(TopicRole::Events, SourcePartition::new("events", 0));
    for (offset, value) in (0..).zip(values) {
        let value = value.as_ref().map(AsRef::as_ref);
        let record = RawRecord { offset, timestamp_ms: 1_000 + offset, key: Some(b"the-key"), value };
        batch.push(record, [Header { name: "vid", value: Some(b"from-header") }]);
    }
    batch
}

fn decode<T: AsRef<[u8]>>(format: EventFormat, values: &[Option<T>]) -> Decoded {
    EventDecoder::new(format).unwrap().decode(&batch(values)).unwrap()
}

const GOOD: &str = r#"{"id":"a","time":"2013-01-01T10:15:00Z","carrier":"UA","distance":1400.5,"seats":149,"cancelled":false,"plane":{"built":0,"type":"B\u0037"},"other":[{}]}"#;

#[test]
fn every_bad_record_is_set_apart_with_its_reason_and_its_neighbours_are_not_affected() {
    let deep = "[".repeat(100_000);
    let deep_closed = format!(r#"{{"id":"a","x":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let large = "9".repeat(400);
    let with = |body: &str| format!(r#"{{"id":"a","time":"2013-01-01T10:15:00Z",{body}}}"#);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "json.syntax"),
        (b"   ".to_vec(), "json.syntax"),
        (GOOD.as_bytes()[..40].to_vec(), "json.syntax"),
        (GOOD.as_bytes()[..GOOD.len() - 1].to_vec(), "json.syntax"),
        (format!("{GOOD}{GOOD}").into_bytes(), "json.syntax"),
        (format!("{GOOD}\n{GOOD}").into_bytes(), "json.syntax"),
        (format!("{GOOD}x").into_bytes(), "json.syntax"),
        (b"{\"id\":\"a\",}".to_vec(), "json.syntax"),
        (b"{\"id\":01}".to_vec(), "json.syntax"),
        (b"{\"x\":NaN}".to_vec(), "json.syntax"),
        (b"{\"x\":\"\\ud800\"}".to_vec(), "json.syntax"),
        (b"{\"x\":\"a\tb\"}".to_vec(), "json.syntax"),
        (b"{\"x\":[1,2}}".to_vec(), "json.syntax"),
        (b"{\"x\":{\"y\"}}".to_vec(), "json.syntax"),
        (b"{\"x\":[1,]}".to_vec(), "json.syntax"),
        (b"{\"x\":{\"y\":]}}".to_vec(), "json.syntax"),
        (deep.into_bytes(), "json.syntax"),
        (deep_closed.into_bytes(), "json.syntax"),
        (b"null".to_vec(), "json.type"),
        (b"[1,{\"a\":[]}]".to_vec(), "json.type"),
        (b" 12 ".to_vec(), "json.type"),
        (b"{\"id\":\"\xff\"}".to_vec(), "json.encoding"),
        (b"{}".to_vec(), "id.missing"),
        (br#"{"id":null}"#.to_vec(), "id.missing"),
        (br#"{"id":""}"#.to_vec(), "id.missing"),
        (br#"{"id":{}}"#.to_vec(), "id.missing"),
        (br#"{"id":"a"}"#.to_vec(), "time.missing"),
        (br#"{"id":"a","time":12}"#.to_vec(), "time.type"),
        (br#"{"id":"a","time":"yesterday"}"#.to_vec(), "time.type"),
        (with(r#""carrier":"UA""#).into_bytes(), "field.missing"),
        (with(r#""distance":null"#).into_bytes(), "field.missing"),
        (with(r#""distance":"12""#).into_bytes(), "field.type"),
        (with(r#""distance":1e400"#).into_bytes(), "field.type"),
        (with(r#""distance":1,"seats":3.0"#).into_bytes(), "field.type"),
        (with(&format!(r#""distance":1,"seats":{large}"#)).into_bytes(), "field.type"),
        (with(r#""distance":1,"cancelled":1"#).into_bytes(), "field.type"),
        (with(r#""distance":1,"carrier":["UA"]"#).into_bytes(), "field.type"),
        (with(r#""distance":1,"plane":{"built":"soon"}"#).into_bytes(), "field.type"),
    ];
    // Alone, and between good ones in one batch.
    let mut mixed = vec![Some(GOOD.as_bytes().to_vec())];
    for (value, reason) in &cases {
        let decoded = decode(format(), &[Some(value)]);
        let found: Vec<&str> = decoded.refused.iter().map(|r| r.reason).collect();
        assert_eq!(found, [*reason], "{}", String::from_utf8_lossy(value));
        mixed.extend([Some(value.clone()), Some(GOOD.as_bytes().to_vec())]);
    }
    mixed.push(None);
    let decoded = decode(format(), &mixed);
    let mut expected: Vec<&str> = cases.iter().map(|c| c.1).collect();
    expected.push("value.null");
    assert_eq!(decoded.refused.iter().map(|r| r.reason).collect::<Vec<_>>(), expected);
    assert!(decoded.refused.iter().map(|r| r.index as usize).eq((1..mixed.len()).step_by(2)));
    let one = decode(format(), &[Some(GOOD)]);
    assert_eq!(decoded.rows.num_rows(), cases.len() + 1);
    for row in 0..decoded.rows.num_rows() {
        assert_eq!(decoded.rows.slice(row, 1), one.rows);
        assert_eq!((decoded.ids.value(row), decoded.times_ms[row]), ("a", 1_357_035_300_000));
    }
}

#[test]
fn values_arrive_in_their_columns() {
    let decoded =
        decode(format(), &[Some(GOOD), Some(r#"{"distance":-1e-3,"time":"2013-01-01T00:00:00.5+01:00","id":7}"#)]);
    let rows = &decoded.rows;
    assert_eq!(decoded.ids.iter().flatten().collect::<Vec<_>>(), ["a", "7"]);
    assert_eq!(decoded.times_ms, [1_357_035_300_000, 1_356_994_800_500]);
    assert_eq!(rows.column(0).as_string::<i32>().value(0), "UA");
    assert_eq!(rows.column(1).as_primitive::<Float64Type>().values().as_ref(), [1400.5, -0.001]);
    assert_eq!(rows.column(2).as_primitive::<Int64Type>().value(0), 149);
    assert!(!rows.column(3).as_boolean().value(0));
    assert_eq!(rows.column(4).as_primitive::<TimestampMillisecondType>().value(0), 0);
    assert_eq!(rows.column(5).as_string::<i32>().value(0), "B7");
    for column in [0, 2, 3, 4, 5] {
        assert!(rows.column(column).is_null(1));
    }
}

#[test]
fn of_a_repeated_key_the_last_one_counts() {
    let text = r#"{"id":"a","id":"b","time":"2013-01-01","distance":"x","distance":2,"plane":{"type":"x"},"plane":{}}"#;
    let decoded = decode(format(), &[Some(text)]);
    assert_eq!(decoded.ids.value(0), "b");
    assert!(decoded.rows.column(5).is_null(0));
}

#[test]
fn ids_and_times_come_from_where_the_format_says() {
    let check = |id: Source, time: TimeSource, text: &str, expected: Result<(&str, i64), &str>| {
        let format = EventFormat { schema: EventSchema { fields: vec![] }, id, time, tombstone: Tombstone::Ignore };
        let decoded = decode(format, &[Some(text), None]);
        assert_eq!(decoded.ignored, 1);
        let found = match decoded.refused.first() {
            Some(refused) => Err(refused.reason),
            None => Ok((decoded.ids.value(0), decoded.times_ms[0])),
        };
        assert_eq!(found, expected, "{text}");
        assert_eq!(decoded.rows.num_rows(), decoded.indexes.len());
    };
    let column = |unit| TimeSource::Column { path: "a.t".to_owned(), unit };
    check(Source::Key, TimeSource::KafkaTimestamp, "{}", Ok(("the-key", 1_000)));
    check(Source::Header("vid".to_owned()), column(TimeUnit::Milliseconds), r#"{"a":{"t":5}}"#, Ok(("from-header", 5)));
    check(Source::Header("none".to_owned()), TimeSource::KafkaTimestamp, "{}", Err("id.missing"));
    check(Source::Column("a.t".to_owned()), column(TimeUnit::Seconds), r#"{"a":{"t":1.5}}"#, Ok(("1.5", 1_500)));
    check(Source::Key, column(TimeUnit::Seconds), r#"{"a":{"t":9000000000000}}"#, Err("time.type"));
    check(Source::Key, column(TimeUnit::Microseconds), r#"{"a":{"t":-1}}"#, Ok(("the-key", -1)));
    check(Source::Key, column(TimeUnit::Nanoseconds), r#"{"a":{"t":1999999}}"#, Ok(("the-key", 1)));
    check(Source::Key, column(TimeUnit::Milliseconds), r#"{"a":{"t":1.5}}"#, Err("time.type"));
    check(Source::Key, column(TimeUnit::Rfc3339), r#"{"a":{"t":5}}"#, Err("time.type"));
    check(Source::Key, column(TimeUnit::Rfc3339), r#"{"a":null}"#, Err("time.missing"));
    assert!(EventDecoder::new(EventFormat { id: Source::Column("a..b".to_owned()), ..format() }).is_err());
}

#[test]
fn labels_become_numbers() {
    let check = |task: Task, classes: &[&str], value: &str, expected: Result<f64, &str>| {
        let format = LabelFormat {
            id: Source::Column("id".to_owned()),
            value: "late".to_owned(),
            time: TimeSource::KafkaTimestamp,
            task,
            classes: classes.iter().map(|c| (*c).to_owned()).collect(),
        };
        let text = format!(r#"{{"id":"a","late":{value}}}"#);
        let decoded = LabelDecoder::new(format).unwrap().decode(&batch(&[Some("null"), Some(text.as_str())])).unwrap();
        let found = match decoded.refused.get(1) {
            Some(refused) => Err(refused.reason),
            None => Ok(decoded.values[0]),
        };
        assert_eq!(found, expected, "{value}");
    };
    let binary = Task::BinaryClassification;
    check(binary, &["0", "1"], "1", Ok(1.0));
    check(binary, &["0", "1"], "0.0", Ok(0.0));
    check(binary, &["0", "1"], "\"1\"", Ok(1.0));
    check(binary, &["false", "true"], "true", Ok(1.0));
    check(binary, &["0", "1"], "2", Err("label.unknown_class"));
    check(binary, &["0", "1"], "null", Err("label.missing"));
    check(binary, &["0", "1"], "[1]", Err("field.type"));
    check(Task::MulticlassClassification, &["a", "b\n", "c"], "\"b\\n\"", Ok(1.0));
    check(Task::Regression, &[], "-2.5", Ok(-2.5));
    check(Task::Regression, &[], "1e999", Err("label.not_finite"));
    check(Task::Regression, &[], "\"1\"", Err("field.type"));
}

#[test]
fn rfc_3339_is_read_as_records_writes_it() {
    // Seconds from `date -u -d TEXT +%s`.
    for (text, ms) in [
        ("1970-01-01T00:00:00.000Z", Some(0)),
        ("2013-01-01T10:15:00.000Z", Some(1_357_035_300_000)),
        ("2000-02-29T23:59:59.999Z", Some(951_868_799_999)),
        ("1969-12-31T23:59:59.999Z", Some(-1)),
        ("0000-01-01T00:00:00Z", Some(crate::EARLIEST_MS)),
        ("9999-12-31T23:59:59.9999Z", Some(crate::LATEST_MS)),
        ("2013-01-01 10:15:00.5Z", Some(1_357_035_300_500)),
        ("2013-01-01T11:15:00+01:00", Some(1_357_035_300_000)),
        ("2013-01-01", Some(1_356_998_400_000)),
        ("2013-02-30T00:00:00Z", None),
        ("1900-02-29", None),
        ("2013-01-01T10:15:00", None),
        ("2013-01-01T10:15:00.Z", None),
        ("2013-13-01T00:00:00Z", None),
        ("2013-00-01T00:00:00Z", None),
        ("", None),
    ] {
        assert_eq!(crate::time::parse_rfc3339(text), ms, "{text}");
    }
}

/// What serde_json says of a message: the row, or `None` if it must be refused.
fn oracle(bytes: &[u8]) -> Option<(String, i64, Vec<Value>)> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let object = value.as_object()?;
    let id = match object.get("id")? {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let time = crate::time::parse_rfc3339(object.get("time")?.as_str()?)?;
    let plane = object.get("plane").filter(|p| p.is_object());
    let get = |name: &str| match name.strip_prefix("plane.") {
        Some(rest) => plane.and_then(|p| p.get(rest)).cloned().unwrap_or(Value::Null),
        None => object.get(name).cloned().unwrap_or(Value::Null),
    };
    let mut row = Vec::new();
    for field in format().schema.fields {
        let value = get(&field.name);
        let fits = match field.field_type {
            _ if value.is_null() => !field.required,
            FieldType::Category => !value.is_object() && !value.is_array(),
            FieldType::Float => value.is_number(),
            FieldType::Integer => value.is_i64(),
            FieldType::Boolean => value.is_boolean(),
            FieldType::Timestamp => {
                value.as_str().is_some_and(|t| crate::time::parse_rfc3339(t).is_some())
                    || value.as_i64().is_some_and(|t| (crate::EARLIEST_MS..=crate::LATEST_MS).contains(&t))
            }
        };
        row.push(fits.then_some(value)?);
    }
    Some((id, time, row))
}

/// A decoded row in the oracle's form.
fn decoded_row(decoded: &Decoded, row: usize) -> Vec<Value> {
    let columns = decoded.rows.columns().iter().zip(format().schema.fields);
    let value = |(column, field): (&arrow::array::ArrayRef, Field)| {
        if column.is_null(row) {
            return Value::Null;
        }
        match field.field_type {
            FieldType::Category => json!(column.as_string::<i32>().value(row)),
            FieldType::Float => json!(column.as_primitive::<Float64Type>().value(row)),
            FieldType::Integer => json!(column.as_primitive::<Int64Type>().value(row)),
            FieldType::Boolean => json!(column.as_boolean().value(row)),
            FieldType::Timestamp => json!(column.as_primitive::<TimestampMillisecondType>().value(row)),
        }
    };
    columns.map(value).collect()
}

fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().map(f64::to_bits) == b.as_f64().map(f64::to_bits),
        // Categories take numbers and booleans as written; timestamps take text.
        (Value::String(text), Value::Number(b)) => text.parse::<f64>().ok() == b.as_f64(),
        (Value::String(text), Value::Bool(b)) => *text == b.to_string(),
        (Value::Number(ms), Value::String(text)) => ms.as_i64() == crate::time::parse_rfc3339(text),
        (a, b) => a == b,
    }
}

/// Whether a number starts with `-0` somewhere (not the `-0` of a date or an exponent).
fn has_minus_zero(message: &[u8]) -> bool {
    message.windows(3).any(|w| w[1..] == *b"-0" && !w[0].is_ascii_alphanumeric())
}

/// Messages that are mostly well formed, so that mutations meet every branch.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|v| v.to_string()),
        any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| format!("{v:e}")),
        any::<f32>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| json!(v).to_string()),
        ".{0,12}".prop_map(|text| json!(text).to_string()),
        Just(r#""2013-01-01T10:15:00Z""#.to_owned()),
        Just(r#""\ud83d\ude00\u00e9\/""#.to_owned()),
        Just(r#"[1,[{"a":[]}],{}]"#.to_owned()),
        Just(r#"{"type":"x","built":12,"z":[{}]}"#.to_owned()),
    ];
    let key = prop_oneof![
        4 => prop::sample::select(vec!["carrier", "distance", "seats", "cancelled", "plane", "other"]),
        1 => prop::sample::select(vec!["id", "time", "built"]),
    ];
    let blank = prop::sample::select(vec!["", "", "", " ", "\n\t"]);
    let pairs = prop::collection::vec((key, scalar, blank), 0..8);
    pairs.prop_map(|pairs| {
        let mut text = r#"{"id":"a","time":"2013-01-01T10:15:00Z","distance":1"#.to_owned();
        for (key, value, blank) in pairs {
            text.push_str(&format!(",{blank}\"{key}\"{blank}:{blank}{value}{blank}"));
        }
        text.push('}');
        text.into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn accepted_rows_are_what_serde_json_says(
        messages in prop::collection::vec(message(), 1..6),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..4), 0..4),
    ) {
        let mut messages = messages;
        for (which, place, byte, kind) in mutations {
            let message = which.get_mut(&mut messages);
            if message.is_empty() {
                continue;
            }
            let place = place.index(message.len());
            match kind {
                0 => message[place] = byte,
                1 => message[place] = b"{}[]\",:\\0e-. "[usize::from(byte) % 13],
                2 => message.truncate(place),
                _ => { message.insert(place, byte); }
            }
        }
        let decoded = decode(format(), &messages.iter().map(Some).collect::<Vec<_>>());
        let mut accepted = 0;
        for (index, message) in messages.iter().enumerate() {
            // serde_json refuses numbers beyond f64 wherever they stand and calls -0 a float.
            let text = String::from_utf8_lossy(message);
            let ours = decoded.indexes.contains(&(index as u32));
            let number_only = serde_json::from_slice::<Value>(message).is_err_and(|e| e.to_string().contains("out of range"));
            if number_only || has_minus_zero(message) {
                accepted += usize::from(ours);
                continue;
            }
            let expected = oracle(message);
            prop_assert_eq!(ours, expected.is_some(), "{}", text);
            if let Some((id, time, row)) = expected {
                let found = decoded_row(&decoded, accepted);
                prop_assert!(found.iter().zip(&row).all(|(a, b)| same(a, b)), "{text}: {found:?} {row:?}");
                prop_assert_eq!(decoded.times_ms[accepted], time);
                let number = id.parse::<f64>().ok();
                let found_id = decoded.ids.value(accepted);
                prop_assert!(found_id == id || (number.is_some() && found_id.parse::<f64>().ok() == number));
                accepted += 1;
            }
        }
        prop_assert_eq!(accepted, decoded.rows.num_rows());
        prop_assert_eq!(decoded.refused.len() + accepted, messages.len());
    }
}
