//! Times at their edges.

use super::*;

#[test]
fn spans_saturate_and_clocks_may_jump() {
    assert_eq!(Time(5).after(Span(7)), Time(12));
    assert_eq!(Time(5).after(Span(u64::MAX)), Time(i64::MAX));
    assert_eq!(Time(12).since(Time(5)), Span(7));
    assert_eq!(Time(5).since(Time(12)), Span(0));
    assert_eq!(Time(i64::MIN).since(Time(i64::MAX)), Span(0));
}

#[test]
fn times_print_and_read_as_rfc_3339() {
    assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00Z");
    assert_eq!(Time(i64::MAX).to_string(), format!("{} s", i64::MAX));
    let text = serde_json::to_string(&Time(86_399)).unwrap();
    assert_eq!(text, "\"1970-01-01T23:59:59Z\"");
    assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), Time(86_399));
    assert!(serde_json::from_str::<Time>("\"soon\"").is_err());
}
