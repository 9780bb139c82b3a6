//! Nix's formats. Pure: no files, no network, no clock.
