//! Any bytes: an answer, with places inside the text and nothing secret in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nanna_cache::config::read;

fuzz_target!(|bytes: &[u8]| {
    let problems = match read("cache.yaml", bytes) {
        Ok((config, warnings)) => {
            assert!(!warnings.has_errors());
            assert_eq!(
                config
                    .classes
                    .values()
                    .filter(|class| class.default)
                    .count(),
                1
            );
            warnings
        }
        Err(problems) => {
            assert!(problems.has_errors());
            problems
        }
    };
    for problem in problems.iter() {
        for label in &problem.labels {
            assert!(
                problems
                    .source()
                    .get(label.span.start..label.span.end())
                    .is_some()
            );
        }
    }
    assert_eq!(problems.located().len(), problems.len());
});
