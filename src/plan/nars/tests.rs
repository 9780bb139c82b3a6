use super::*;

const HASH: &str = "0c5b8vw40dy178xlpddw65q9gf1h2186jcc3p4swinwggbllv8mk";

#[test]
fn keys_come_back_as_they_were() {
    let mut keys: Vec<String> = SUFFIXES
        .iter()
        .map(|suffix| format!("nar/{HASH}.nar{suffix}"))
        .collect();
    // Nearly usual, and not at all.
    keys.push(format!("nar/{HASH}.nar.gz"));
    keys.push(format!("nar/{HASH}.zst"));
    keys.push(format!("nar/z{}.nar.xz", &HASH[1..]));
    keys.push(format!("nar/e{}.nar.xz", &HASH[1..]));
    keys.push(format!("other/{HASH}.nar.xz"));
    keys.push("nar/plain.nar.xz".to_owned());
    keys.push(String::new());
    let nars: Nars = keys
        .iter()
        .zip(1..)
        .map(|(key, size)| Nar {
            key: key.clone(),
            size,
            modified: Time(7),
        })
        .collect();
    let back: Vec<String> = nars.iter().map(|nar| nar.key).collect();
    assert_eq!(back, keys);
    let sorted = nars.clone().sorted();
    assert!(sorted.shorts().is_sorted());
    for number in sorted.numbers() {
        let nar = sorted.get(number);
        let at = keys.iter().position(|key| *key == nar.key).unwrap();
        assert_eq!((nar.size, nar.modified), (at as u64 + 1, Time(7)));
    }
    assert_eq!(sorted.bytes(), nars.bytes());
    let mut shorts = nars.shorts().to_vec();
    shorts.sort_unstable();
    shorts.dedup();
    assert_eq!(shorts.len(), keys.len());
}

#[test]
fn times_beyond_the_edges_are_moved_to_them() {
    let mut nars = Nars::default();
    nars.add("a", 1, Time(-5));
    nars.add("b", 1, Time(i64::MAX));
    assert_eq!(nars.modified(0), Time(0));
    assert_eq!(nars.modified(1), Time(i64::from(u32::MAX)));
    nars.set(0, 9, Time(3));
    assert_eq!((nars.size(0), nars.modified(0)), (9, Time(3)));
    assert!(!nars.add_short(NarKey::of("foreign"), 1, 1));
    assert_eq!(nars.len(), 2);
}
