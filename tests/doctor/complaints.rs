//! What users of binary caches complain about most, and where it is shown that they need not any more.

/// How a complaint is answered.
pub(crate) enum Answer {
    /// Doctor names it: the codes of scenarios.
    Named(&'static [&'static str]),
    /// It cannot happen with us, or is said elsewhere: tests, as file and function.
    Shown(&'static [(&'static str, &'static str)]),
    /// Why nothing is shown.
    NotYet(&'static str),
}

/// Complaints, as their authors would put them.
pub(crate) const COMPLAINTS: &[(&str, Answer)] = &[
    (
        "pins can only be seen and deleted on the web",
        Answer::Shown(&[
            (
                "tests/e2e_cachix.rs",
                "drift_made_by_hand_shows_in_the_next_plan",
            ),
            (
                "tests/e2e_cachix/records.rs",
                "what_somebody_else_pinned_stays_until_it_is_adopted",
            ),
        ]),
    ),
    (
        "a pin races the push, or is set without an answer",
        Answer::Shown(&[("tests/faults/service.rs", "pin_without_answer")]),
    ),
    (
        "replacing a pin needs room for both revisions",
        Answer::NotYet("no call of the service tells its quota, so nothing can be known before"),
    ),
    (
        "`cachix use` makes users trusted, which is as good as root",
        Answer::Named(&["trusted-everybody", "substituter-not-trusted"]),
    ),
    (
        "a private cache: wrong netrc, one that cannot be read, a login missing in it",
        Answer::Named(&["netrc-without-host", "netrc-unreadable", "cache-refuses"]),
    ),
    (
        "netrc files of several caches are not merged",
        Answer::Shown(&[(
            "tests/e2e_cachix.rs",
            "nix_reads_a_private_cache_by_the_netrc_file_that_setup_keeps",
        )]),
    ),
    (
        "the step after the job hangs, or is killed in the middle of a push",
        Answer::Shown(&[(
            "tests/crash_push.rs",
            "fifty_kills_break_nothing_and_a_rerun_finishes",
        )]),
    ),
    (
        "a 5xx of the cache turns a green build red",
        Answer::Shown(&[("tests/faults/service.rs", "problem_502")]),
    ),
    (
        "a cache that answers 5xx is passed over without a word",
        Answer::Named(&["cache-fails", "path-unknown", "closure-unknown"]),
    ),
    (
        "inputs that were substituted are not pushed, and nobody notices until a rebuild",
        Answer::Named(&["closure-incomplete"]),
    ),
    (
        "a token for one cache configured another",
        Answer::Shown(&[(
            "tests/e2e_cachix.rs",
            "two_private_caches_on_a_host_need_one_token",
        )]),
    ),
    (
        "a filter hides only what is named; what needs it takes it along",
        Answer::Shown(&[("tests/e2e_push.rs", "an_excluded_path_that_is_needed")]),
    ),
    (
        "nobody says why something was collected",
        Answer::Shown(&[(
            "tests/explain_twenty.rs",
            "each_answer_is_as_it_was_checked",
        )]),
    ),
    (
        "something was collected, and the client remembers that it is there",
        Answer::Named(&["path-absent", "remembered-hit"]),
    ),
    (
        "something was pushed, and the client remembers that it is not there",
        Answer::Named(&["remembered-miss"]),
    ),
    (
        "secrets were pushed",
        Answer::Shown(&[(
            "tests/gate.rs",
            "a_public_cache_of_a_service_gets_not_a_byte_of_it",
        )]),
    ),
    (
        "the cache of Actions fills up, throttles, and warns of entries that exist",
        Answer::NotYet("there is no cache of that type yet"),
    ),
    (
        "a path was left out because of an upstream's key, and then it is nowhere",
        Answer::Shown(&[("tests/e2e_push.rs", "explain_says_what_happens_to_a_path")]),
    ),
    (
        "a new cache answers Unauthorized, and Nix takes it for a miss",
        Answer::Named(&["cache-refuses"]),
    ),
    (
        "the key was replaced, or half of it was copied",
        Answer::Named(&["key-differs", "key-malformed", "signer-not-trusted"]),
    ),
    (
        "a later line, or a file of an installer, overrides what was set up",
        Answer::Named(&["setting-overridden", "not-in-settings"]),
    ),
    (
        "settings changed, and the daemon goes on with the old ones",
        Answer::Named(&["daemon-older"]),
    ),
];
