//! Any bytes: both readers agree, and what is read prints to what reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nanna_cache::nix::narinfo::{Brief, NarInfo};
use nanna_cache::nix::store_path::StoreDir;

fuzz_target!(|bytes: &[u8]| {
    let store = StoreDir::default();
    let Ok(brief) = Brief::from_bytes(bytes, &store) else {
        return;
    };
    let mut info = brief.to_nar_info();
    let _ = info.has_valid_ca(&store);
    info.unknown.clear();
    info.malformed_signatures = 0;
    let printed = info.display(&store).to_string();
    let again = NarInfo::parse(&printed, &store).expect("what we print, we read");
    assert_eq!(again, info);
});
