use proptest::prelude::*;

use super::*;

#[test]
fn canonical_spellings_print_back() {
    for text in [
        "20 GiB", "50 GB", "4 GiB", "1.5 GiB", "512 MiB", "500 MB", "100 kB", "0 B", "1 B", "17 B",
        "2 TiB", "1.25 TB", "1 PiB",
    ] {
        assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
    }
    for text in ["30d", "24h", "90m", "45s", "180d", "1h", "0s", "2d", "36h"] {
        assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
    }
    for text in ["30%", "12.5%", "0%", "100%", "0.25%", "99.05%"] {
        assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
    }
}

#[test]
fn other_spellings_mean_the_same() {
    assert_eq!("20GiB".parse(), Ok(Size(20 << 30)));
    assert_eq!("0.5 GiB".parse::<Size>().unwrap().to_string(), "512 MiB");
    assert_eq!("1d".parse::<Span>().unwrap().to_string(), "24h");
    assert_eq!("2w".parse::<Span>().unwrap().to_string(), "14d");
    assert_eq!("30.00 %".parse(), Ok(Share(3000)));
}

#[test]
fn anything_else_is_refused() {
    let size = |text: &str| text.parse::<Size>().unwrap_err();
    assert_eq!(size("20"), UnitError::NoUnit);
    assert_eq!(size("20 G"), UnitError::UnknownUnit);
    assert_eq!(size("20 gib"), UnitError::UnknownUnit);
    assert_eq!(size("20  GiB"), UnitError::UnknownUnit);
    assert_eq!(size("-1 GiB"), UnitError::Negative);
    assert_eq!(size(""), UnitError::NoNumber);
    assert_eq!(size("GiB"), UnitError::NoNumber);
    assert_eq!(size("1.5 B"), UnitError::Fraction);
    assert_eq!(size("1. GiB"), UnitError::Fraction);
    assert_eq!(size("1.0001 GiB"), UnitError::Fraction);
    assert_eq!(size("99999 PiB"), UnitError::TooLarge);
    assert_eq!(size(&format!("{} B", "9".repeat(400))), UnitError::TooLarge);
    let span = |text: &str| text.parse::<Span>().unwrap_err();
    assert_eq!(span("1h30m"), UnitError::UnknownUnit);
    assert_eq!(span("1.5h"), UnitError::Fraction);
    assert_eq!(span("99999999999999999999w"), UnitError::TooLarge);
    let share = |text: &str| text.parse::<Share>().unwrap_err();
    assert_eq!(share("101%"), UnitError::Above);
    assert_eq!(share("30"), UnitError::NoUnit);
    assert_eq!(share("1.234%"), UnitError::Fraction);
}

proptest! {
    #[test]
    fn sizes_read_back(bytes: u64) {
        prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
    }

    #[test]
    fn spans_read_back(seconds: u64) {
        prop_assert_eq!(Span(seconds).to_string().parse(), Ok(Span(seconds)));
    }

    #[test]
    fn shares_read_back(share in 0_u32..=10_000) {
        prop_assert_eq!(Share(share).to_string().parse(), Ok(Share(share)));
    }

    #[test]
    fn patterns_are_as_strict_as_the_parser(text in r"(-?[0-9]{0,4}\.?[0-9]{0,4} {0,2}[kKMGTi%smhdwB]{0,3})|\PC{0,8}") {
        let fits = |pattern: &str| regex::Regex::new(pattern).unwrap().is_match(&text);
        // A fraction that is no whole number of bytes fits the pattern; only the parser knows.
        let fraction = text.parse::<Size>() == Err(UnitError::Fraction);
        prop_assert!(fraction || fits(SIZE_PATTERN) == text.parse::<Size>().is_ok());
        prop_assert_eq!(fits(SPAN_PATTERN), text.parse::<Span>().is_ok());
        let zeros = text.starts_with("00") || text.starts_with("0100");
        prop_assert!(zeros || fits(SHARE_PATTERN) == text.parse::<Share>().is_ok());
    }
}
