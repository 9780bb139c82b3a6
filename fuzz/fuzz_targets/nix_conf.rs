//! Any bytes: they print back, load without harm, and the edit is done once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nanna_cache::nix::conf::{ConfFile, Effective, Entry, FileRead, ensure_include};

fuzz_target!(|bytes: &[u8]| {
    let file = ConfFile::parse(bytes);
    assert_eq!(file.as_bytes(), bytes);
    let lines = file
        .lines()
        .iter()
        .flat_map(|line| file.text_of(line))
        .copied();
    assert!(lines.eq(bytes.iter().copied()));
    let entry = Entry::File("/etc/nix/nix.conf".to_owned());
    let _ = Effective::load(&[entry], |_| FileRead::Bytes(bytes.to_vec()));
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(edited) = ensure_include(text, "ours.conf") {
        assert!(edited.starts_with(text));
        assert_eq!(ensure_include(&edited, "ours.conf"), None);
    }
});
