//! The faults of a storage: a real S3 server behind a proxy that misbehaves.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::bucket_world::{Shop, planted};
use crate::golden::{golden, words};
use crate::stores::proxy::{Answer, Fault, Request};
use crate::stores::{self, SECRET_KEY};
use crate::support::bed::Output;
use crate::support::planted::Planted;
use crate::support::skew;
use crate::wrong::{other, problem, repeat, say, skip, writes, xml};

const APPLY: &str = "reconcile --apply";
const PLAN: &str = "reconcile --plan";
const PRUNE: &str = "prune --apply --allow share=100%";

fn shop() -> Option<Shop> {
    Shop::with("", 5)
}

/// A command during a fault.
#[track_caller]
fn during(
    shop: &Shop,
    line: &str,
    code: i32,
    rule: impl Fn(&Request, usize) -> Fault + Send + Sync + 'static,
) -> Output {
    // Nothing is remembered that would spare it a question.
    let _ = std::fs::remove_dir_all(shop.world.bed.home().join(".cache/nanna-cache"));
    shop.proxy.rule(rule);
    let said = shop.run(line).fails(code);
    assert!(shop.proxy.asked() > 0, "nothing was asked");
    shop.proxy.pass();
    assert_eq!(
        planted().found(said.to_string().as_bytes()),
        [""; 0],
        "{said}"
    );
    said
}

/// The fault is over: it finishes, and everything is there, and whole.
#[track_caller]
fn over(shop: &Shop) {
    let _ = shop.run(APPLY).success();
    shop.assert_whole_with(&shop.population.paths);
    let after = shop.run("reconcile --detailed-exitcode").success();
    assert!(after.stdout.contains("No changes"), "{after}");
    shop.assert_no_secret();
}

/// Applies while the fault strikes now and then, and nothing is to be noticed.
#[track_caller]
fn passes(rule: impl Fn(&Request, usize) -> Fault + Send + Sync + 'static) {
    let Some(shop) = shop() else { return };
    let said = during(&shop, APPLY, 0, rule);
    assert!(words(&said).contains("Applied:"), "{said}");
    over(&shop);
}

/// One run during the fault, then without it.
#[track_caller]
fn stays(
    name: &str,
    line: &str,
    code: i32,
    rule: impl Fn(&Request, usize) -> Fault + Send + Sync + 'static,
) {
    let Some(shop) = shop() else { return };
    let said = during(&shop, line, code, rule);
    golden(name, &[(line, &said)]);
    over(&shop);
}

pub(crate) fn text_401() {
    stays("text_401__bucket", PLAN, 0, |_, _| {
        Fault::Say(401, Vec::new(), "Unauthorized".into())
    });
}

pub(crate) fn not_found_404() {
    // A server that is none of a storage knows nothing of anything.
    stays("not_found_404__bucket", APPLY, 1, |_, _| {
        Fault::Say(404, Vec::new(), "no such page".into())
    });
}

pub(crate) fn too_many_429() {
    let Some(shop) = shop() else { return };
    let later =
        |seconds: &str| Fault::Say(429, vec![("Retry-After", seconds.into())], xml("SlowDown"));
    let begun = Instant::now();
    let _ = during(&shop, PLAN, 0, move |_, number| match number {
        0 => later("2"),
        _ => Fault::Pass,
    });
    assert!(begun.elapsed() >= Duration::from_secs(2), "it did not wait");
    let said = during(&shop, PLAN, 0, move |_, _| later("0"));
    golden("too_many_429__bucket", &[(PLAN, &said)]);
    over(&shop);
}

pub(crate) fn busy_503() {
    passes(|_, number| match number % 3 {
        0 => say(503, "SlowDown"),
        _ => Fault::Pass,
    });
    stays("busy_503__bucket", PLAN, 0, |_, _| say(503, "SlowDown"));
}

pub(crate) fn problem_502() {
    passes(|request, number| {
        if writes(request) && number % 4 == 1 {
            problem()
        } else {
            Fault::Pass
        }
    });
    stays("problem_502__bucket", APPLY, 6, |request, _| {
        if writes(request) {
            problem()
        } else {
            Fault::Pass
        }
    });
}

pub(crate) fn page_502() {
    stays("page_502__bucket", PLAN, 0, |_, _| {
        Fault::Say(502, Vec::new(), "<html><b>Bad Gateway</b></html>".into())
    });
}

/// A shop that wants a path so large that it goes in parts.
fn large() -> Option<(Shop, String)> {
    let shop = Shop::with("compression: { method: none }", 2)?;
    let file = shop.world.bed.root().join("large");
    let bytes: Vec<u8> = (0..20_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(&file, bytes).unwrap();
    let path = shop.world.nix.add(&file);
    std::fs::remove_file(&file).unwrap();
    shop.configure(&path);
    Some((shop, path))
}

fn finish_large(shop: &Shop, path: String) {
    let _ = shop.run(APPLY).success();
    shop.assert_whole_with(&[path]);
    let after = shop.run("reconcile --detailed-exitcode").success();
    assert!(after.stdout.contains("No changes"), "{after}");
    shop.assert_no_secret();
}

pub(crate) fn reset_in_a_part() {
    let Some((shop, path)) = large() else { return };
    let said = during(&shop, APPLY, 6, |request, _| {
        if request.is("PUT", "partNumber=2") {
            Fault::Break(100_000)
        } else {
            Fault::Pass
        }
    });
    golden("reset_in_a_part__bucket", &[(APPLY, &said)]);
    shop.assert_whole();
    // One that breaks now and then is sent again.
    let said = during(&shop, APPLY, 0, |request, number| {
        if request.is("PUT", "partNumber=") && number % 2 == 0 {
            Fault::Break(100_000)
        } else {
            Fault::Pass
        }
    });
    assert!(words(&said).contains("Applied:"), "{said}");
    finish_large(&shop, path);
}

pub(crate) fn no_etag() {
    let Some((shop, path)) = large() else { return };
    let said = during(&shop, APPLY, 6, |request, _| {
        if !request.is("PUT", "partNumber=2") {
            return Fault::Pass;
        }
        Fault::Change(|answer| {
            let is_tag = |name: &str| name.eq_ignore_ascii_case("etag");
            answer.headers.retain(|(name, _)| !is_tag(name));
        })
    });
    golden("no_etag__bucket", &[(APPLY, &said)]);
    shop.assert_whole();
    finish_large(&shop, path);
}

pub(crate) fn answer_lost() {
    passes(|request, number| {
        if writes(request) && number % 3 == 0 {
            Fault::Lost
        } else {
            Fault::Pass
        }
    });
    stays("answer_lost__bucket", APPLY, 6, |request, _| {
        if writes(request) {
            Fault::Lost
        } else {
            Fault::Pass
        }
    });
}

pub(crate) fn pin_without_answer() {
    let Some(shop) = shop() else { return };
    let _ = shop.run(APPLY).success();
    let text = shop.world.bed.read("cache.yaml");
    let pin = format!("pins: {{ release: {{ path: {} }} }}\n", shop.population.top);
    shop.world.whole_config(&format!("{text}{pin}"));
    let is_pin = |request: &Request| request.is("PUT", "/pins/");
    let lost = during(&shop, APPLY, 6, move |request, _| {
        if is_pin(request) {
            Fault::Lost
        } else {
            Fault::Pass
        }
    });
    golden("pin_without_answer__bucket", &[(APPLY, &lost)]);
    let pins = |shop: &Shop| {
        shop.objects()
            .iter()
            .filter(|key| key.contains("/pins/"))
            .count()
    };
    assert_eq!(pins(&shop), 1, "it took effect");
    over(&shop);
    assert_eq!(pins(&shop), 1);
}

pub(crate) fn slow_loris() {
    let Some(mut shop) = shop() else { return };
    shop.world.bed.set("NANNA_CACHE_TEST_PATIENCE", "0.5");
    let begun = Instant::now();
    let head = during(&shop, PLAN, 0, |_, _| Fault::Stall(Duration::from_secs(20)));
    let body = during(&shop, PLAN, 0, |request, _| {
        if request.is("GET", "list-type=2") {
            Fault::Drip(Duration::from_millis(100))
        } else {
            Fault::Pass
        }
    });
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
    golden("slow_loris__bucket", &[(PLAN, &head), (PLAN, &body)]);
    shop.world.bed.unset("NANNA_CACHE_TEST_PATIENCE");
    over(&shop);
}

pub(crate) fn redirect() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let to = format!(
        "http://{}/cache/nix-cache-info",
        stranger.local_addr().unwrap()
    );
    stays("redirect__bucket", PLAN, 0, move |_, _| {
        Fault::Say(
            307,
            vec![("Location", to.clone())],
            xml("TemporaryRedirect"),
        )
    });
    assert!(stranger.accept().is_err(), "nobody went there");
}

pub(crate) fn other_narinfo() {
    let Some(shop) = shop() else { return };
    let _ = shop.run(APPLY).success();
    shop.proxy.age();
    let said = during(&shop, PRUNE, 0, |request, _| {
        if request.is("GET", ".narinfo") {
            Fault::Change(other)
        } else {
            Fault::Pass
        }
    });
    let rest = said.to_string();
    assert!(rest.contains("damaged objects are left alone"), "{said}");
    golden("other_narinfo__bucket", &[(PRUNE, &said)]);
    shop.assert_whole_with(&shop.population.paths);
    over(&shop);
}

pub(crate) fn listing() {
    let Some(shop) = shop() else { return };
    let _ = shop.run(APPLY).success();
    shop.proxy.age();
    // Everything is pushed again, and so lives on: nothing is to go.
    let _ = shop.run("push --apply").success();
    let listed = |change: fn(&mut Answer)| {
        move |request: &Request, _: usize| {
            if request.is("GET", "list-type=2") {
                Fault::Change(change)
            } else {
                Fault::Pass
            }
        }
    };
    let repeats = during(&shop, PLAN, 0, listed(repeat));
    let skips = during(&shop, PLAN, 0, listed(skip));
    let prune = during(&shop, PRUNE, 0, listed(skip));
    golden(
        "listing__bucket",
        &[(PLAN, &repeats), (PLAN, &skips), (PRUNE, &prune)],
    );
    // What a listing leaves out is not deleted for that.
    shop.assert_whole_with(&shop.population.paths);
    over(&shop);
}

pub(crate) fn expired_token() {
    stays("expired_token__bucket", PLAN, 0, |_, _| {
        say(400, "ExpiredToken")
    });
}

pub(crate) fn no_bucket() {
    let Some(shop) = shop() else { return };
    // The real server says it.
    let text = shop.world.bed.read("cache.yaml");
    shop.world
        .whole_config(&text.replace("bucket: cache", "bucket: elsewhere"));
    let plan = shop.run(PLAN).success();
    let apply = shop.run(APPLY);
    let strict = shop.run("reconcile --plan --strict").fails(7);
    golden(
        "no_bucket__bucket",
        &[
            (PLAN, &plan),
            (APPLY, &apply),
            ("reconcile --plan --strict", &strict),
        ],
    );
    shop.world.whole_config(&text);
    over(&shop);
}

pub(crate) fn wrong_region() {
    let Some(shop) = shop() else { return };
    let named = during(&shop, PLAN, 0, |_, _| {
        let region = ("x-amz-bucket-region", "eu-west-1".into());
        Fault::Say(301, vec![region], xml("PermanentRedirect"))
    });
    let signed = during(&shop, PLAN, 0, |_, _| {
        let text = xml("AuthorizationHeaderMalformed");
        let text = text.replace("</Error>", "<Region>eu-west-2</Region></Error>");
        Fault::Say(400, Vec::new(), text)
    });
    golden("wrong_region__bucket", &[(PLAN, &named), (PLAN, &signed)]);
    over(&shop);
}

pub(crate) fn clock_skew() {
    let Some(mut shop) = shop() else { return };
    // A quarter of an hour is what storages let pass: the real server judges.
    skew::set(&mut shop.world.bed, 600);
    let near = shop.run(APPLY).success();
    assert!(words(&near).contains("Applied:"), "{near}");
    skew::set(&mut shop.world.bed, 3600);
    let real = shop.run(APPLY);
    skew::unset(&mut shop.world.bed);
    let plan = during(&shop, PLAN, 0, |_, _| say(403, "RequestTimeTooSkewed"));
    golden("clock_skew__bucket", &[(APPLY, &real), (PLAN, &plan)]);
    over(&shop);
}

pub(crate) fn read_only() {
    let Some(mut shop) = shop() else { return };
    // The real server knows a reader.
    shop.world.bed.set("AWS_ACCESS_KEY_ID", "READERACCESS");
    shop.world.bed.set("AWS_SECRET_ACCESS_KEY", "readersecret");
    let plan = shop.run(PLAN).success();
    let apply = shop.run(APPLY).fails(6);
    let found = Planted::of(["readersecret"]).found(apply.to_string().as_bytes());
    assert_eq!(found, [""; 0]);
    golden("read_only__bucket", &[(PLAN, &plan), (APPLY, &apply)]);
    assert_eq!(shop.objects().len(), 0);
    let _ = std::fs::remove_dir_all(shop.world.bed.work().join("keys"));
    shop.world.bed.set("AWS_ACCESS_KEY_ID", stores::ACCESS_KEY);
    shop.world.bed.set("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    over(&shop);
}

pub(crate) fn unknown_key() {
    let Some(mut shop) = shop() else { return };
    shop.world.bed.set("AWS_ACCESS_KEY_ID", "NOBODYKNOWSIT");
    let plan = shop.run(PLAN).success();
    golden("unknown_key__bucket", &[(PLAN, &plan)]);
    shop.world.bed.set("AWS_ACCESS_KEY_ID", stores::ACCESS_KEY);
    over(&shop);
}

pub(crate) fn cut() {
    passes(|request, number| {
        if request.method == "GET" && number % 5 == 2 {
            Fault::Cut(10)
        } else {
            Fault::Pass
        }
    });
    passes(|_, number| {
        if number % 4 == 3 {
            Fault::Reset
        } else {
            Fault::Pass
        }
    });
    stays("cut__bucket", PLAN, 0, |_, _| Fault::Reset);
}

pub(crate) fn nobody() {
    let Some(shop) = shop() else { return };
    let text = shop.world.bed.read("cache.yaml");
    let port = stores::port();
    shop.world
        .whole_config(&text.replace(&shop.proxy.port.to_string(), &port.to_string()));
    let begun = Instant::now();
    let plan = shop.run(PLAN).success();
    let strict = shop.run("reconcile --plan --strict").fails(7);
    assert!(
        begun.elapsed() < Duration::from_mins(1),
        "{:?}",
        begun.elapsed()
    );
    golden(
        "nobody__bucket",
        &[(PLAN, &plan), ("reconcile --plan --strict", &strict)],
    );
    shop.world.whole_config(&text);
    over(&shop);
}
