//! The core: what should be, what is, and the difference. Pure; `now` is an argument.
