//! What a prune deletes, what it leaves, and what it says.

use super::*;
use crate::plan::drops::PathToDrop;
use crate::plan::make;
use crate::plan::observed::{Nar, Observed, Why};
use crate::plan::plan::Plan;
use crate::plan::record::{Intent, PrunePhase, PruneRecord};
use crate::plan::simulate::World;
use crate::plan::testing::{addresses, ago, desired, dev, find, hash, names, world};

const RETENTION: &str = "prune: { foreign: retention, grace: 24h }";

fn plan_with(sections: &str, world: &World, change: impl Fn(&mut Observed)) -> Plan {
    let desired = desired(sections);
    let mut observed = world.observe(&desired);
    change(&mut observed);
    make::plan(&desired, &observed, "digest")
}

fn dropped(plan: &Plan, address: &str) -> Vec<PathToDrop> {
    match &find(&plan.steps, address).op {
        Op::Prune { paths, .. } => paths.iter().collect(),
        other => panic!("{other:?}"),
    }
}

fn swept(plan: &Plan) -> Vec<&str> {
    match &find(&plan.steps, "prune/dev/unnamed-files").op {
        Op::Sweep { objects, .. } => objects.iter().map(|object| object.key.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}

/// Dead paths of three classes: a-gold (needs low), a-silver, low.
fn stale() -> World {
    world()
        .with_cached(400, &["a-gold 100 low", "a-silver 50", "low 7"])
        .with_cached(0, &["young 1000"])
        .with_roots(300, "gold", &["a-gold"])
        .with_roots(300, "silver", &["a-silver"])
}

#[test]
fn the_lowest_class_is_read_first_and_each_has_its_paths_roots_and_bytes() {
    let plan = plan_with("", &stale(), |_| {});
    assert_eq!(
        addresses(&plan.steps),
        ["prune/dev/dust", "prune/dev/silver", "prune/dev/gold"]
    );
    let gold = find(&plan.steps, "prune/dev/gold");
    assert_eq!((gold.effect.paths, gold.effect.bytes), (1, 100));
    assert_eq!(gold.because.rule, "gold is kept 100d");
    let Op::Prune { paths, roots, .. } = &gold.op else {
        panic!()
    };
    assert_eq!(paths.hashes().collect::<Vec<_>>(), [hash("a-gold")]);
    let key = format!("nanna-cache/v1/roots/gold/{}.json", hash("a-gold"));
    assert_eq!(*roots, [key]);
    let waits: Vec<_> = gold.waits_for.iter().map(ToString::to_string).collect();
    assert_eq!(waits, ["push/dev/gold", "push/dev/silver", "push/dev/dust"]);
    let budget = &plan.caches[0];
    assert_eq!((budget.paths, budget.bytes), (4, 1_157));
    assert_eq!(budget.bytes_after, 1_000);
    assert_eq!((budget.tier, budget.max_size), (Some(3), None));
}

#[test]
fn the_class_of_the_record_comes_before_that_of_the_name() {
    let world = world()
        .with_cached(400, &["a-gold"])
        .with_roots(300, "dust", &["a-gold"]);
    let plan = plan_with("", &world, |_| {});
    assert_eq!(addresses(&plan.steps), ["prune/dev/dust"]);
}

#[test]
fn the_bytes_of_a_shared_file_are_counted_where_it_goes() {
    let shared = |with: &'static str| {
        plan_with("", &stale(), move |observed| {
            let content = dev(observed);
            let row = |name| content.paths.row(&hash(name)).unwrap() as usize;
            let (one, other) = (row("a-silver"), row(with));
            let nar = content.narinfos[other].nar();
            content.narinfos[one].set_nar(nar);
        })
    };
    // A living path still names the file: nothing is won.
    let living = shared("young");
    assert_eq!(dropped(&living, "prune/dev/silver")[0].bytes, 0);
    // Two dead paths: counted once.
    let dead = shared("a-gold");
    let bytes = |address| dropped(&dead, address)[0].bytes;
    assert_eq!(bytes("prune/dev/silver") + bytes("prune/dev/gold"), 100);
}

#[test]
fn a_cache_that_was_not_seen_whole_loses_nothing() {
    let plan = plan_with("", &stale(), |observed| {
        dev(observed).partial = Some(Why("a folder is closed".to_owned()));
    });
    assert!(plan.steps.is_empty());
    assert_eq!(plan.unknowns.len(), 1);
    assert_eq!(plan.unknowns[0].why.0, "a folder is closed");
    assert_eq!(plan.caches[0].bytes_after, plan.caches[0].bytes);
    let hidden = plan_with("", &stale().hide("dev"), |_| {});
    assert!(hidden.steps.is_empty());
    assert!(
        hidden
            .unknowns
            .iter()
            .any(|unknown| unknown.effect == "nothing is deleted from it")
    );
}

#[test]
fn a_prune_that_is_not_enabled_deletes_nothing() {
    let plan = plan_with("prune: { enabled: false }", &stale(), |_| {});
    assert!(plan.steps.is_empty());
}

#[test]
fn another_prune_at_work_is_a_refusal_of_the_deletes() {
    let busy = |gone, phase| {
        plan_with("", &stale(), move |observed| {
            dev(observed).prunes = vec![PruneRecord {
                id: "p".to_owned(),
                modified: ago(0),
                gone,
                phase,
                paths: Vec::new(),
            }];
        })
        .refusals
    };
    let refusals = busy(false, PrunePhase::Nars);
    assert_eq!(refusals[0].code, "prune-busy");
    assert_eq!(refusals[0].steps.len(), 3);
    assert!(busy(true, PrunePhase::Paths).is_empty());
    assert!(busy(false, PrunePhase::Ended).is_empty());
    let idle = plan_with("", &world(), |observed| {
        dev(observed).prunes = vec![PruneRecord {
            id: "p".to_owned(),
            modified: ago(0),
            gone: false,
            phase: PrunePhase::Paths,
            paths: Vec::new(),
        }];
    });
    assert!(
        idle.refusals.is_empty(),
        "nothing to delete, nothing to refuse"
    );
}

#[test]
fn damage_and_unknown_classes_are_for_a_person() {
    let world = stale().with_roots(1, "unheard-of", &["low"]);
    let plan = plan_with("", &world, |observed| {
        dev(observed).damages = (0..7).map(|at| format!("damage {at}")).collect();
    });
    let advice: Vec<_> = plan
        .advice
        .iter()
        .map(|advice| advice.text.as_str())
        .collect();
    assert_eq!(advice.len(), 2, "{advice:?}");
    assert!(advice[0].starts_with("1 root record is of classes that cache.yaml does not have: "));
    assert_eq!(advice[1], "7 damaged objects are left alone:");
    assert_eq!(plan.advice[1].lines.len(), 5);
    assert!(plan_with("", &stale(), |_| {}).advice.is_empty());
}

fn nar(key: &str, days: i64) -> Nar {
    Nar {
        key: key.to_owned(),
        size: 10,
        modified: ago(days),
    }
}

#[test]
fn files_that_nothing_names_go_when_they_are_as_old_as_grace() {
    let plan = plan_with("", &world().with_cached(9, &["a"]), |observed| {
        let content = dev(observed);
        content.nars.extend([nar("nar/old", 1), nar("nar/new", 0)]);
        let mut almost = nar("nar/almost", 1);
        almost.modified.0 += 1;
        content.nars.push(almost);
        content.leftovers = vec![nar("tmp-old", 1), nar("tmp-new", 0)];
    });
    assert_eq!(swept(&plan), ["nar/old", "tmp-old"]);
    let step = find(&plan.steps, "prune/dev/unnamed-files");
    assert_eq!((step.effect.paths, step.effect.bytes), (0, 20));
    assert_eq!(step.waits_for.len(), 3);
    assert_eq!(plan.caches[0].bytes_after, 100 + 30 - 20);
}

#[test]
fn the_record_of_a_dead_push_goes_when_nothing_would_be_missed() {
    let with = |gone: bool, absent: &'static str, world: World| {
        plan_with("", &world, move |observed| {
            dev(observed).intents = vec![Intent {
                id: "dead".to_owned(),
                modified: ago(2),
                gone,
                paths: Vec::new(),
                absent: absent.split_whitespace().map(hash).collect(),
            }];
        })
    };
    let has_step = |plan: &Plan| addresses(&plan.steps).contains(&"prune/dev/unnamed-files");
    let key = ["nanna-cache/v1/intents/dead.json"];
    let cached = |days| world().with_cached(days, &["a", "b 1 a"]);
    assert_eq!(swept(&with(true, "nowhere", cached(9))), key);
    assert_eq!(swept(&with(true, "a b", cached(9))), key, "they go with it");
    let covered = cached(0).with_roots(1, "dust", &["b"]);
    assert_eq!(swept(&with(true, "a", covered)), key, "a root reaches it");
    assert!(!has_step(&with(true, "a", cached(0))), "young, not covered");
    assert!(!has_step(&with(false, "nowhere", cached(9))), "still open");
}

#[test]
fn what_could_not_be_seen_ends_no_retention() {
    let sections = "push: { paths: [/g] }";
    let with = |seen: Option<Observation<Vec<crate::nix::store_path::StorePath>>>| {
        plan_with(sections, &stale(), |observed| {
            if let Some(seen) = &seen {
                observed.given.insert("/g".to_owned(), seen.clone());
            }
            dev(observed).nars.push(nar("nar/old", 3));
            dev(observed).intents = vec![Intent {
                id: "dead".to_owned(),
                modified: ago(2),
                gone: true,
                paths: Vec::new(),
                absent: Vec::new(),
            }];
        })
    };
    let prunes = |plan: &Plan| {
        let all = addresses(&plan.steps).into_iter();
        all.filter(|address| address.starts_with("prune/")).count()
    };
    let unknown = with(Some(Observation::Unknown(Why("closed".to_owned()))));
    assert_eq!(prunes(&unknown), 1);
    assert_eq!(swept(&unknown), ["nar/old"], "never a record");
    assert_eq!(
        find(&unknown.steps, "prune/dev/unnamed-files").effect.bytes,
        10
    );
    assert_eq!(prunes(&with(None)), 1, "nobody looked");
    assert_eq!(prunes(&with(Some(Observation::Absent))), 4);
    // Also where the cache takes no pushes: the class, and so the retention, is not known.
    let desired = desired("push: { enabled: false, paths: [/g] }");
    let observed = stale().observe(&desired);
    let plan = make::plan(&desired, &observed, "digest");
    assert_eq!(prunes(&plan), 0);
}

#[test]
fn the_second_look_finds_what_the_first_found() {
    let desired = desired(RETENTION);
    let mut observed = stale().observe(&desired);
    let content = dev(&mut observed).clone();
    let name = crate::plan::testing::cache("dev");
    let need = look(&desired, &observed, &name, &content).unwrap();
    assert_eq!(need.live.iter().count(), 1);
    let other = crate::plan::testing::cache("nowhere");
    assert!(look(&desired, &observed, &other, &content).is_none());
}

#[test]
fn incoming_paths_count_against_max_size_and_in_the_sum() {
    let sections = "caches:\n  dev: { type: file, tier: 3, path: /cache/dev, max-size: 250 B }\n  up: { type: upstream, url: https://up.example, public-keys: ['cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='] }\npush: { paths: [/g] }";
    let world = world()
        .with_store(&["new 151"])
        .with_cached(9, &["a 100"])
        .with_roots(1, "dust", &["a"]);
    let with = |unasked: bool| {
        plan_with(sections, &world, move |observed| {
            let given = vec![crate::plan::testing::path("new")];
            observed
                .given
                .insert("/g".to_owned(), Observation::Present(given));
            let up = observed.upstreams.values_mut().next().unwrap();
            up.unanswered.extend(unasked.then(|| hash("new")));
        })
    };
    let plan = with(false);
    let into = |cache: &str| {
        incoming(
            &plan.steps,
            &crate::plan::testing::cache(cache),
            &CacheContent::default(),
        )
    };
    assert_eq!((into("dev"), into("other")), (151, 0));
    assert_eq!(
        names(
            dropped(&plan, "prune/dev/dust")
                .iter()
                .map(|path| &path.path)
        ),
        ["a"]
    );
    assert_eq!(plan.caches[0].bytes_after, 151);
    // Where an upstream may have it, it does not drive anything out.
    assert_eq!(with(true).caches[0].bytes_after, 100);
}

const UP: &str = "caches:\n  dev: { type: file, tier: 3, path: /cache/dev }\n  up: { type: upstream, url: https://up.example, public-keys: ['cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='] }";

fn advice(plan: &Plan) -> Vec<String> {
    let all = plan.advice.iter();
    all.flat_map(|advice| std::iter::once(&advice.text).chain(&advice.lines))
        .cloned()
        .collect()
}

#[test]
fn a_reference_that_is_in_no_upstream_that_answered_is_told() {
    let world = world().with_cached(0, &["a 10 lost", "b 10 there"]);
    let with = |change: &dyn Fn(&mut crate::plan::observed::Upstream)| {
        let plan = plan_with(UP, &world, |observed| {
            let asked = questions(observed);
            assert_eq!(asked, BTreeSet::from([hash("lost"), hash("there")]));
            let up = observed.upstreams.values_mut().next().unwrap();
            up.has.insert(hash("there"));
            change(up);
        });
        advice(&plan)
    };
    let told = with(&|_| {});
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains(&format!("-a: {}, to which it refers", hash("lost"))));
    let silent = with(&|up| {
        up.unanswered.insert(hash("lost"));
    });
    assert_eq!(silent, Vec::<String>::new(), "it may have it");
}

#[test]
fn what_a_damaged_narinfo_refers_to_stays() {
    let plan = plan_with("", &stale(), |observed| {
        dev(observed).bound = vec![hash("a-gold"), hash("nowhere")];
    });
    assert_eq!(addresses(&plan.steps), ["prune/dev/silver"]);
}

#[test]
fn a_record_of_a_newer_version_is_a_refusal_that_names_it() {
    let with = |world: World| {
        plan_with("", &world, |observed| {
            let why = Why("the record `k` needs a newer nanna-cache (schema 9)".to_owned());
            dev(observed).partial = Some(why.clone());
            dev(observed).forbidden = Some(why);
        })
    };
    let plan = with(stale());
    assert_eq!(plan.refusals.len(), 1);
    let refusal = &plan.refusals[0];
    assert_eq!(
        (refusal.code.as_str(), refusal.steps.len()),
        ("prune-record", 3)
    );
    assert!(refusal.text.contains("`k`"), "{}", refusal.text);
    // Where nothing is to go there is nothing to refuse.
    let plan = with(world());
    assert!(plan.refusals.is_empty() && plan.steps.is_empty());
}

#[test]
fn a_cache_without_locks_says_what_that_means() {
    let plan = plan_with("", &world(), |observed| {
        dev(observed).capabilities.by_age = true;
    });
    assert!(advice(&plan)[0].starts_with("its file system has no locks"));
}

#[test]
fn paths_that_cannot_be_fetched_whole_are_for_a_person() {
    let said = |nar: bool| {
        let desired = desired("");
        let mut observed = world().with_cached(1, &["a 1 lost"]).observe(&desired);
        if !nar {
            dev(&mut observed).narinfos[0].set_nar(None);
        }
        let advice = make::plan(&desired, &observed, "digest").advice;
        advice
            .into_iter()
            .flat_map(|advice| advice.lines)
            .collect::<Vec<_>>()
    };
    let a = crate::plan::testing::path("a");
    let broken = format!("{a}: its NAR is missing");
    let lost = format!("{a}: {}, to which it refers, is missing", hash("lost"));
    assert_eq!(said(true), [lost.as_str()]);
    assert_eq!(said(false), [broken, lost]);
}

#[test]
fn of_very_many_references_that_lead_out_the_lowest_are_asked_for() {
    let asked = |number: usize| {
        let mut observed = world().observe(&desired(""));
        let all = (0..number).map(|at| (0, hash(&at.to_string())));
        dev(&mut observed).elsewhere = all.collect();
        questions(&observed)
    };
    assert_eq!((asked(1).len(), asked(ASKED).len()), (1, ASKED));
    let all: BTreeSet<_> = (0..ASKED + 9).map(|at| hash(&at.to_string())).collect();
    let lowest = all.into_iter().take(ASKED).collect();
    assert_eq!(asked(ASKED + 9), lowest);
}

#[test]
fn directories_are_unseen_if_any_of_them_is() {
    use crate::plan::observed::Directories;
    let unseen = |seen: Option<Observation<Directories>>| {
        let mut observed = world().observe(&desired(""));
        let seen = seen.map(|seen| ("/d/*".to_owned(), seen));
        observed.directories.extend(seen);
        is_unseen(&observed, &TopSource::Directory("/d/*".to_owned()))
    };
    let why = Why("dark".to_owned());
    assert!(unseen(None) && unseen(Some(Observation::Unknown(why.clone()))));
    let mut some = Directories::default();
    assert!(!unseen(Some(Observation::Present(some.clone()))));
    some.unseen.insert("/d/a".to_owned(), why);
    assert!(unseen(Some(Observation::Present(some))));
}

/// Without the pushes, pins that no file asks for any more still hold; what they would free is not promised.
#[test]
fn a_prune_alone_counts_on_no_push() {
    let world = world()
        .with_cached(400, &["old 100"])
        .with_roots(300, "gold", &["old"])
        .with_pin(300, "demo", "gone", "old");
    let whole = desired("");
    let drops = |desired: &Desired| {
        let plan = make::plan(desired, &world.observe(desired), "digest");
        plan.steps
            .iter()
            .any(|step| matches!(step.op, Op::Prune { .. }))
    };
    assert!(drops(&whole), "the pin goes in the same run");
    let only = |parts: &[&str]| {
        let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
        whole.clone().only(&parts)
    };
    assert!(!drops(&only(&["prune"])));
    assert!(!drops(&only(&["push/dev/gold", "prune"])));
    assert!(drops(&only(&["push/dev/pin-gone", "prune"])));
}
