//! Each rule of need by one small cache. Classes: gold 100 days, silver 50, dust 10.

use super::*;
use crate::plan::desired::Desired;
use crate::plan::observed::Narinfo;
use crate::plan::simulate::World;
use crate::plan::testing::{DAY, NOW, ago, class, desired, dev, hash, names, world};

/// What a test may say differently.
#[derive(Default)]
struct Given<'a> {
    foreign: Option<Foreign>,
    max_size: Option<u64>,
    incoming: u64,
    renewed: &'a [(&'a str, &'a str)],
    relied_on: &'a [&'a str],
}

struct Found {
    live: Vec<String>,
    need: Need,
    content: CacheContent,
}

impl Found {
    fn until(&self, name: &str) -> Option<Time> {
        self.need
            .until(self.content.paths.row(&hash(name)).unwrap())
    }

    fn reason(&self, name: &str) -> DropReason {
        self.need
            .reason(self.content.paths.row(&hash(name)).unwrap())
    }

    fn ended(&self) -> Vec<(String, HashPart)> {
        let roots = self.need.ended.iter().map(|at| &self.content.roots[*at]);
        roots
            .map(|root| (root.class.to_string(), root.hash))
            .collect()
    }
}

fn look(world: &World, given: &Given<'_>) -> Found {
    look_at(world, given, |_| {})
}

fn look_at(world: &World, given: &Given<'_>, change: impl Fn(&mut CacheContent)) -> Found {
    let desired: Desired = desired("");
    let mut observed = world.observe(&desired);
    change(dev(&mut observed));
    let content = dev(&mut observed).clone();
    let classifier = Classifier::new(&desired.config);
    let relied_on: Vec<HashPart> = given.relied_on.iter().map(|name| hash(name)).collect();
    let need = need(
        &content,
        &Rules {
            classifier: &classifier,
            grace: desired.config.prune.grace,
            foreign: given.foreign.unwrap_or(Foreign::Keep),
            max_size: given.max_size,
            incoming: given.incoming,
            renewed: given
                .renewed
                .iter()
                .map(|(class, name)| (*class, hash(name)))
                .collect(),
            relied_on: &relied_on,
            pins: content.pins.clone(),
        },
    );
    let live: Vec<_> = need
        .live
        .iter()
        .map(|row| content.paths.path(row))
        .collect();
    let mut live: Vec<String> = names(&live).into_iter().map(str::to_owned).collect();
    live.sort();
    Found {
        live,
        need,
        content,
    }
}

#[test]
fn retention_ends_after_the_last_second() {
    let world = world()
        .with_cached(60, &["a", "b"])
        .with_roots(10, "dust", &["a", "b"]);
    let at = look(&world, &Given::default());
    assert_eq!(at.live, ["a", "b"], "now == need is still needed");
    assert_eq!(at.until("a"), Some(NOW));
    assert!(at.ended().is_empty());

    let late = look_at(&world, &Given::default(), |content| {
        for root in content
            .roots
            .iter_mut()
            .filter(|root| root.hash == hash("a"))
        {
            root.modified.0 -= 1;
        }
    });
    assert_eq!(late.live, ["b"]);
    assert_eq!(late.reason("a"), DropReason::NeedEnded(Time(NOW.0 - 1)));
    assert_eq!(late.ended(), [("dust".to_owned(), hash("a"))]);
}

#[test]
fn the_latest_need_of_all_roots_counts() {
    let world = world()
        .with_cached(300, &["top 1 low", "low", "side 1 low"])
        .with_roots(20, "dust", &["top"])
        .with_roots(20, "gold", &["side"]);
    let found = look(&world, &Given::default());
    assert_eq!(found.live, ["low", "side"]);
    assert_eq!(found.until("low"), Some(ago(20 - 100)));
    assert_eq!(found.until("top"), Some(ago(10)));
}

#[test]
fn one_path_may_have_roots_of_two_classes() {
    let world = world()
        .with_cached(300, &["a"])
        .with_roots(20, "dust", &["a"])
        .with_roots(60, "gold", &["a"]);
    let found = look(&world, &Given::default());
    assert_eq!(found.live, ["a"]);
    assert!(found.ended().is_empty(), "a record goes with its path");
}

#[test]
fn grace_ends_at_its_last_second() {
    let world = world()
        .with_cached(1, &["a"])
        .with_roots(60, "dust", &["a"]);
    assert!(look(&world, &Given::default()).live.is_empty());
    let young = look_at(&world, &Given::default(), |content| {
        let narinfo = content.narinfos[0];
        content.narinfos[0] = Narinfo::new(narinfo.nar(), narinfo.modified().after(Span(1)));
    });
    assert_eq!(young.live, ["a"]);
    assert!(young.ended().is_empty());
}

#[test]
fn a_young_path_keeps_what_it_refers_to() {
    let world = world()
        .with_cached(90, &["old", "rest"])
        .with_cached(0, &["new 1 old"])
        .with_roots(60, "dust", &["old", "rest"]);
    assert_eq!(look(&world, &Given::default()).live, ["new", "old"]);
}

#[test]
fn a_time_in_the_future_is_young() {
    let world = world()
        .with_cached(-3, &["a"])
        .with_roots(60, "dust", &["a"]);
    assert_eq!(look(&world, &Given::default()).live, ["a"]);
}

#[test]
fn pins_keep_their_closure_for_ever() {
    let world = world()
        .with_cached(900, &["a 1 b", "b", "c"])
        .with_roots(900, "dust", &["a", "b", "c"])
        .with_pin(900, "other", "v1", "a");
    let found = look(&world, &Given::default());
    assert_eq!(found.live, ["a", "b"]);
    assert_eq!(found.ended(), [("dust".to_owned(), hash("c"))]);
}

fn intent(gone: bool, paths: &[&str], absent: &[&str]) -> crate::plan::record::Intent {
    crate::plan::record::Intent {
        id: "i".to_owned(),
        modified: ago(2),
        gone,
        paths: paths.iter().map(|name| hash(name)).collect(),
        absent: absent.iter().map(|name| hash(name)).collect(),
    }
}

#[test]
fn an_open_push_keeps_what_it_relies_on() {
    let world =
        world()
            .with_cached(90, &["a 1 b", "b", "c"])
            .with_roots(60, "dust", &["a", "b", "c"]);
    let with = |gone| {
        look_at(&world, &Given::default(), |content| {
            content.intents = vec![intent(gone, &["a", "nowhere"], &[])];
        })
    };
    assert_eq!(with(false).live, ["a", "b"]);
    assert!(with(true).live.is_empty());
}

#[test]
fn a_dead_push_leaves_garbage_not_foreign_content() {
    let world = world().with_cached(90, &["a", "b 1 a", "c"]);
    let found = look_at(&world, &Given::default(), |content| {
        content.intents = vec![intent(true, &["a", "b"], &["b"])];
    });
    // `a` was there before: foreign. `b` is what the dead push left.
    assert_eq!(found.live, ["a", "c"]);
    assert_eq!(found.reason("b"), DropReason::Unreached);
    let open = look_at(&world, &Given::default(), |content| {
        content.intents = vec![intent(false, &["b"], &["b"])];
    });
    assert_eq!(open.live, ["a", "b", "c"]);
}

#[test]
fn foreign_content_is_kept_or_has_the_retention_of_its_class() {
    let world = world()
        .with_cached(10, &["a 1 x"])
        .with_cached(60, &["gold", "silver-a", "x"])
        .with_cached(11, &["b"]);
    let kept = look(&world, &Given::default());
    assert_eq!(kept.live.len(), 5);
    assert_eq!(kept.until("b"), None);

    let given = Given {
        foreign: Some(Foreign::Retention),
        ..Given::default()
    };
    let found = look(&world, &given);
    // `a` is needed to this very second, and with it `x`; `-gold` does not match the bare word.
    assert_eq!(found.live, ["a", "gold", "x"]);
    assert_eq!(found.until("a"), Some(NOW));
    assert_eq!(found.reason("b"), DropReason::NeedEnded(ago(1)));
    assert_eq!(found.reason("silver-a"), DropReason::NeedEnded(ago(10)));
}

#[test]
fn what_an_ended_root_reaches_is_not_foreign() {
    let world = world()
        .with_cached(90, &["a 1 b", "b"])
        .with_roots(60, "dust", &["a"]);
    let found = look(&world, &Given::default());
    assert!(found.live.is_empty());
    assert_eq!(found.reason("b"), DropReason::NeedEnded(ago(50)));
}

#[test]
fn roots_of_unknown_classes_keep_their_paths() {
    let world =
        world()
            .with_cached(900, &["a 1 b", "b"])
            .with_roots(900, "unheard-of", &["a", "nowhere"]);
    let found = look(&world, &Given::default());
    assert_eq!(found.live, ["a", "b"]);
    assert_eq!(found.need.unknown_class, 2);
    assert!(found.ended().is_empty());
}

#[test]
fn a_root_without_its_path_ends_by_time() {
    let world =
        world()
            .with_roots(10, "dust", &["on-time"])
            .with_roots(11, "dust", &["late", "again"]);
    let given = Given {
        renewed: &[("dust", "again")],
        ..Given::default()
    };
    let found = look(&world, &given);
    assert_eq!(found.ended(), [("dust".to_owned(), hash("late"))]);
}

#[test]
fn a_renewed_root_counts_as_of_now() {
    let world = world()
        .with_cached(90, &["a 1 b", "b", "c", "d"])
        .with_roots(60, "dust", &["a", "c", "d"]);
    let given = Given {
        renewed: &[("dust", "a"), ("silver", "c")],
        ..Given::default()
    };
    let found = look(&world, &given);
    // `c` is written for the first time in another class: its path is here already.
    assert_eq!(found.live, ["a", "b", "c"]);
    assert_eq!(found.until("b"), Some(ago(-10)));
    assert_eq!(found.until("c"), Some(ago(-50)));
    assert_eq!(found.ended(), [("dust".to_owned(), hash("d"))]);
}

#[test]
fn what_a_push_relies_on_stays() {
    let world = world()
        .with_cached(90, &["a 1 b", "b", "c"])
        .with_roots(60, "dust", &["a", "c"]);
    let given = Given {
        relied_on: &["a"],
        ..Given::default()
    };
    assert_eq!(look(&world, &given).live, ["a", "b"]);
}

/// Four roots of 100 bytes each: gold, silver of 5 and of 3 days, dust.
fn full() -> World {
    world()
        .with_cached(40, &["g 100", "s5 100", "s3 100", "d 100"])
        .with_roots(5, "gold", &["g"])
        .with_roots(5, "silver", &["s5"])
        .with_roots(3, "silver", &["s3"])
        .with_roots(1, "dust", &["d"])
}

fn under(world: &World, limit: u64) -> Found {
    let given = Given {
        max_size: Some(limit),
        ..Given::default()
    };
    look(world, &given)
}

#[test]
fn over_max_size_the_lowest_priority_ends_first_then_the_oldest() {
    assert_eq!(under(&full(), 400).live, ["d", "g", "s3", "s5"]);
    let found = under(&full(), 399);
    assert_eq!(found.live, ["g", "s3", "s5"]);
    assert_eq!(found.reason("d"), DropReason::OverMaxSize);
    assert_eq!(found.ended(), [("dust".to_owned(), hash("d"))]);
    assert!(found.need.room.unwrap().is_reachable());
    assert_eq!(under(&full(), 299).live, ["g", "s3"]);
    assert_eq!(under(&full(), 199).live, ["g"]);
    assert!(under(&full(), 99).live.is_empty());
}

#[test]
fn what_ended_before_is_not_blamed_on_max_size() {
    let world = full()
        .with_roots(11, "dust", &["old"])
        .with_cached(40, &["old"]);
    let found = under(&world, 100);
    assert_eq!(found.reason("old"), DropReason::NeedEnded(ago(1)));
    assert_eq!(found.reason("d"), DropReason::OverMaxSize);
}

#[test]
fn what_a_kept_root_shares_stays_over_max_size() {
    let world = world()
        .with_cached(40, &["g 100 low", "d 100 low", "low 100"])
        .with_roots(1, "gold", &["g"])
        .with_roots(1, "dust", &["d", "low"]);
    let found = under(&world, 200);
    assert_eq!(found.live, ["g", "low"]);
    // The record of `low` stays as long as its path.
    assert_eq!(found.ended(), [("dust".to_owned(), hash("d"))]);
}

#[test]
fn a_nar_that_two_paths_share_counts_once() {
    let share = |content: &mut CacheContent| {
        let nar = content.narinfos[0].nar();
        for narinfo in &mut content.narinfos {
            narinfo.set_nar(nar);
        }
    };
    let given = Given {
        max_size: Some(100),
        ..Given::default()
    };
    assert_eq!(look_at(&full(), &given, share).live.len(), 4);
    assert_eq!(look(&full(), &given).live, ["g"]);
}

#[test]
fn a_path_without_its_nar_takes_no_room() {
    let given = Given {
        max_size: Some(1),
        ..Given::default()
    };
    let found = look_at(&full(), &given, |content| {
        for narinfo in &mut content.narinfos {
            narinfo.set_nar(None);
        }
    });
    assert_eq!(found.live.len(), 4);
}

#[test]
fn incoming_bytes_count_and_renewed_roots_do_not_end() {
    let given = Given {
        max_size: Some(400),
        incoming: 1,
        renewed: &[("dust", "d")],
        ..Given::default()
    };
    let found = look(&full(), &given);
    assert_eq!(found.live, ["d", "g", "s3"]);
    assert_eq!(found.reason("s5"), DropReason::OverMaxSize);
    assert!(found.need.room.unwrap().is_reachable());
}

#[test]
fn where_pins_alone_are_too_big_nothing_ends_in_vain() {
    let world = full()
        .with_pin(1, "demo", "p", "d")
        .with_pin(1, "demo", "p", "g");
    assert_eq!(under(&world, 200).live, ["d", "g"], "just enough for them");
    let found = under(&world, 199);
    assert_eq!(found.live, ["d", "g", "s3", "s5"]);
    assert!(found.ended().is_empty());
    let room = found.need.room.unwrap();
    assert!(!room.is_reachable());
    assert_eq!(
        (room.limit, room.must_stay.pins, room.must_stay.total()),
        (199, 200, 200)
    );
    // What its own retention ends, goes all the same.
    let old = world
        .with_cached(40, &["old 100"])
        .with_roots(11, "dust", &["old"]);
    let found = under(&old, 199);
    assert_eq!(found.live, ["d", "g", "s3", "s5"]);
    assert_eq!(found.reason("old"), DropReason::NeedEnded(ago(1)));
}

#[test]
fn what_must_stay_is_counted_by_what_keeps_it_and_once() {
    let world = world()
        .with_cached(
            40,
            &[
                "p 1 shared",
                "shared 10",
                "u 100",
                "i 1000",
                "r 10000",
                "d 7",
                "f 100000 shared",
            ],
        )
        .with_cached(0, &["y 1000000 f p"])
        .with_pin(1, "demo", "v1", "p")
        .with_roots(400, "unheard-of", &["u"])
        .with_roots(1, "dust", &["i", "r", "d", "y"]);
    let given = Given {
        max_size: Some(5),
        incoming: 9,
        renewed: &[("dust", "r")],
        ..Given::default()
    };
    let found = look_at(&world, &given, |content| {
        content.intents = vec![intent(false, &["i"], &[])];
    });
    let room = found.need.room.unwrap();
    let expected = MustStay {
        pins: 11,
        unknown_classes: 100,
        pushes: 11_000,
        foreign: 0,
        young: 1_100_000,
    };
    // `f` is reached from a recorded root, so it is not foreign; `y` is young and reaches it.
    assert_eq!(room.must_stay, expected);
    assert_eq!(room.must_stay.total(), 1_111_111);
    assert_eq!((room.limit, room.incoming), (5, 9));
    let foreign = world_of_foreign();
    let room = under(&foreign, 5).need.room.unwrap();
    assert_eq!((room.must_stay.foreign, room.must_stay.young), (30, 4));
}

/// Foreign content, old and young, and a young path of ours.
fn world_of_foreign() -> World {
    world()
        .with_cached(40, &["f 10"])
        .with_cached(0, &["g 20", "y 4"])
        .with_roots(0, "dust", &["y"])
}

#[test]
fn what_comes_in_makes_no_limit_unreachable() {
    let given = Given {
        max_size: Some(150),
        incoming: 500,
        renewed: &[("dust", "d")],
        ..Given::default()
    };
    // Compressed it may fit: all that may end is nominated, and judged again when it is there.
    let found = look(&full(), &given);
    assert_eq!(found.live, ["d"]);
    let room = found.need.room.unwrap();
    assert!(room.is_reachable() && !room.is_enough());
    let small = Given {
        incoming: 50,
        ..given
    };
    assert!(look(&full(), &small).need.room.unwrap().is_enough());
}

#[test]
fn equal_priority_and_age_fall_in_the_order_of_hashes() {
    let world = world()
        .with_cached(40, &["a 100", "b 100", "c 100"])
        .with_roots(1, "dust", &["a", "b", "c"]);
    let mut all = ["a", "b", "c"];
    all.sort_by_key(|name| hash(name));
    let mut expected = all[..2].to_vec();
    expected.sort_unstable();
    assert_eq!(under(&world, 200).live, expected);
}

#[test]
fn of_several_recorded_classes_the_first_in_the_file_counts() {
    let desired = desired("");
    let world = world()
        .with_roots(1, "silver", &["a", "b"])
        .with_roots(1, "gold", &["a"])
        .with_roots(1, "unheard-of", &["c"]);
    let mut observed = world.observe(&desired);
    let classifier = Classifier::new(&desired.config);
    let classes = recorded_classes(dev(&mut observed), &classifier);
    let expected = [(hash("a"), "gold"), (hash("b"), "silver")];
    let expected = expected.map(|(hash, name)| (hash, classifier.id(&class(name)).unwrap()));
    assert_eq!(classes, BTreeMap::from(expected));
    assert_eq!(DAY, 86_400);
}

#[test]
fn what_a_dead_or_finished_prune_left_is_not_foreign() {
    use crate::plan::record::{PrunePhase, PruneRecord};
    let world = world()
        .with_cached(90, &["old"])
        .with_cached(5, &["same"])
        .with_cached(4, &["later"]);
    let live = |gone, phase| {
        let prune = PruneRecord {
            id: "p".to_owned(),
            modified: ago(5),
            gone,
            phase,
            paths: ["old", "same", "later", "nowhere"].map(hash).to_vec(),
        };
        look_at(&world, &Given::default(), |content| {
            content.prunes = vec![prune.clone()];
        })
        .live
    };
    assert_eq!(live(true, PrunePhase::Paths), ["later", "same"]);
    assert_eq!(live(false, PrunePhase::Ended), ["later", "same"]);
    assert_eq!(live(true, PrunePhase::Ended), ["later", "same"]);
    assert_eq!(live(false, PrunePhase::Paths), ["later", "old", "same"]);
}
