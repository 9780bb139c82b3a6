//! Observe, apply, journal, confirm: the only place where a plan becomes deeds.
