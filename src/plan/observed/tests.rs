//! What an observation is, and is not.

use super::*;

#[test]
fn an_observation_is_present_unknown_or_neither() {
    let why = Why("dark".to_owned());
    let unknown = Observation::<u8>::Unknown(why.clone());
    assert_eq!((unknown.present(), unknown.unknown()), (None, Some(&why)));
    let present = Observation::Present(1);
    assert_eq!((present.present(), present.unknown()), (Some(&1), None));
    let absent = Observation::<u8>::Absent;
    assert_eq!((absent.present(), absent.unknown()), (None, None));
}

#[test]
fn of_a_key_nothing_is_found_at_first() {
    let expected = Signed {
        name: "one".to_owned(),
        paths: 0,
        verified: 0,
    };
    assert_eq!(Signed::of("one"), expected);
}
