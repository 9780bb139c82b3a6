//! Addresses are stable: saved plans and `--only` name them.

use super::*;

#[test]
fn every_address_in_words() {
    let dev = CacheName::new("dev");
    let all = [
        (cache_address(&dev), "setup/dev/cache"),
        (key_address(&dev), "setup/dev/signing-key"),
        (fragment_address(), "setup/nix/fragment"),
        (nix_conf_address(), "setup/nix/nix.conf"),
        (tuning_address(), "optimize/nix/tuning"),
        (build_address(".#a"), "push/build/.#a"),
        (push_address(&dev, "gold"), "push/dev/gold"),
        (pin_address(&dev, &PinName::new("v1")), "push/dev/pin-v1"),
        (prune_address(&dev, "gold"), "prune/dev/gold"),
        (sweep_address(&dev), "prune/dev/unnamed-files"),
    ];
    for (address, text) in all {
        assert_eq!(address.as_str(), text);
        assert_eq!(address.to_string(), text);
    }
    assert_eq!(
        cache_addresses(&dev),
        [cache_address(&dev), key_address(&dev)]
    );
    assert_eq!(format!("{:<6}|", Phase::Push), "push  |");
}

#[test]
fn leading_parts_choose() {
    let address = push_address(&CacheName::new("dev"), "gold");
    for part in ["push", "push/", "push/dev", "push/dev/gold"] {
        assert!(address.is_in(part), "{part}");
    }
    for part in ["", "pu", "push/de", "dev", "push/dev/gold/x", "prune"] {
        assert!(!address.is_in(part), "{part}");
    }
}
