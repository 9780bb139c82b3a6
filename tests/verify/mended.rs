//! Mending: from the local store, by signing, or by deleting; always through the protocol.

use crate::Pushed;
use crate::e2e_world::{age, days};
use crate::support::checker::Checker;

impl Pushed {
    /// Asserts that the independent checker finds nothing either.
    #[track_caller]
    fn is_whole(&self) {
        let key = self.world.public_key("keys/dev.sec");
        Checker::new().deep().key(&key).assert_whole(&self.cache());
    }
}

fn flip(pushed: &Pushed, path: &str) {
    let file = pushed.nar_file(path);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
}

type Plant = (&'static str, fn(&Pushed));

const MENDABLE: &[Plant] = &[
    ("a cut narinfo", |it| {
        it.edit(&it.lib, |text| text[..text.len() - 9].to_owned())
    }),
    ("no signature", |it| {
        it.edit(&it.lib, |text| {
            let lines = text.lines().filter(|line| !line.starts_with("Sig: "));
            lines.map(|line| format!("{line}\n")).collect()
        });
    }),
    ("a false signature", |it| {
        it.edit(&it.lib, |text| text.replace("NarSize: ", "NarSize: 1"))
    }),
    ("no NAR", |it| {
        std::fs::remove_file(it.nar_file(&it.lib)).unwrap()
    }),
    ("a flipped bit", |it| flip(it, &it.lib)),
    ("a false NAR hash", |it| {
        it.forge(&it.lib, |info| info.nar_hash.0[7] ^= 1)
    }),
    ("a path that is gone", |it| {
        std::fs::remove_file(it.nar_file(&it.lib)).unwrap();
        std::fs::remove_file(it.narinfo(&it.lib)).unwrap();
    }),
    ("all at once", |it| {
        flip(it, &it.app);
        flip(it, &it.note);
        it.edit(&it.lib, |_| String::new());
    }),
];

#[test]
fn what_the_local_store_has_is_mended() {
    let Some(pushed) = Pushed::new() else { return };
    for (what, plant) in MENDABLE {
        eprintln!("──── {what}");
        pushed.restore();
        plant(&pushed);
        assert_eq!(pushed.verify("").1, 7);
        let _ = pushed.world.run("verify dev --all --repair").fails(7);
        assert_eq!(pushed.verify("").1, 7, "a plan changes nothing");
        let _ = pushed
            .world
            .run("verify dev --all --repair --apply")
            .success();
        let (found, exit) = pushed.verify("");
        assert_eq!(exit, 0, "{found:?}");
        let damages: Vec<&String> = found
            .iter()
            .filter(|one| !one.starts_with("nar-orphaned"))
            .collect();
        assert!(damages.is_empty(), "{damages:?}");
        pushed.is_whole();
        pushed.world.assert_nothing_to_do();
    }
}

#[test]
fn what_nobody_has_goes_with_all_that_needs_it_under_the_brakes() {
    let Some(pushed) = Pushed::new() else { return };
    flip(&pushed, &pushed.lib);
    for path in [&pushed.app, &pushed.lib] {
        let _ = pushed
            .world
            .with_nix(&format!("nix store delete --ignore-liveness {path}"))
            .success();
    }
    let refused = pushed
        .world
        .run("verify dev --all --repair --apply")
        .fails(4);
    assert!(refused.stdout.contains("--allow share="), "{refused}");
    let _ = pushed
        .world
        .run("verify dev --all --repair --apply --allow share=100%")
        .success();
    let left: Vec<String> = pushed.world.cached().into_iter().collect();
    assert_eq!(left, std::slice::from_ref(&pushed.note));
    assert_eq!(pushed.verify("").1, 0);
    // The files that nobody names any more go when grace is over.
    age(&pushed.cache().join("nar"), days(3));
    let _ = pushed
        .world
        .run("prune --apply --allow share=100%")
        .success();
    pushed.is_whole();
}
