//! What can go wrong, how it is set up, and the codes by which doctor must name it: these and no others.

use std::process::Command;
use std::time::{Duration, SystemTime};

use nanna_cache::nix::key::SecretKey;

use crate::case::{Case, HASH};

type SetUp = fn(&mut Case);

/// Codes, what is wrong, and how to get there.
pub(crate) const SCENARIOS: &[(&str, &str, SetUp)] = &[
    ("settings-refused", "no blanks around =", |case| {
        case.user("cores=4\n");
    }),
    ("setting-unknown", "a slip in a name", |case| {
        case.user("extra-substitutors = http://x\n");
    }),
    ("setting-overridden", "a plain line after extra-", |case| {
        let (url, key) = (&case.url, case.key.public());
        case.machine("extra-substituters = http://127.0.0.1:9/lost");
        case.user(&format!(
            "substituters = {url}\ntrusted-public-keys = {key}\n"
        ));
    }),
    ("conf-unreadable", "nix.conf is a folder", |case| {
        std::fs::create_dir_all(case.bed.home().join(".config/nix/nix.conf")).unwrap();
    }),
    ("substitute-off", "substitute = false", |case| {
        case.user("substitute = false\n");
    }),
    ("no-substituters", "an empty list", |case| {
        case.user("substituters =\n");
    }),
    ("not-in-settings", "declared, not set up", declared_only),
    (
        "substituter-not-trusted key-not-trusted",
        "a user that the daemon does not trust",
        |case| {
            case.forget();
            case.machine("trusted-users =");
            case.user(&format!(
                "extra-substituters = {}\nextra-trusted-public-keys = {}\n",
                case.url,
                case.key.public()
            ));
            case.bed.set("NIX_REMOTE", "daemon");
        },
    ),
    ("trusted-everybody", "trusted-users = *", |case| {
        case.machine("trusted-users = *");
    }),
    (
        "flake-config-ignored",
        "nixConfig that nobody accepted",
        |case| {
            case.bed.write(
                "flake.nix",
                "{ nixConfig.extra-substituters = [ \"http://x\" ]; outputs = _: { }; }",
            );
        },
    ),
    ("cache-unreachable path-unknown", "nobody listens", |case| {
        case.forget();
        let folder = case.bed.root().join("empty");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join("nix-cache-info"),
            "StoreDir: /nix/store\nPriority: 1\n",
        )
        .unwrap();
        case.user(&format!(
            "substituters = http://127.0.0.1:9 file://{}\n",
            folder.display()
        ));
    }),
    ("cache-refuses", "a token that is over", |case| {
        case.served.lock().unwrap().wants = Some("Basic other".to_owned());
        let netrc = case
            .bed
            .write("netrc", "machine 127.0.0.1 login me password old\n");
        case.user(&format!("netrc-file = {}\n", netrc.display()));
    }),
    ("netrc-without-host", "a login for another host", |case| {
        case.served.lock().unwrap().wants = Some("Basic other".to_owned());
        let netrc = case
            .bed
            .write("netrc", "machine x.example login me password old\n");
        case.user(&format!("netrc-file = {}\n", netrc.display()));
    }),
    ("netrc-unreadable", "a netrc that cannot be read", |case| {
        case.served.lock().unwrap().wants = Some("Basic other".to_owned());
        std::fs::create_dir_all(case.bed.at("netrc")).unwrap();
        case.user(&format!(
            "netrc-file = {}\n",
            case.bed.at("netrc").display()
        ));
    }),
    ("cache-fails", "a server in trouble", |case| {
        case.answer("nix-cache-info", 503, "");
    }),
    ("cache-info-missing", "a server that is no cache", |case| {
        case.answer("nix-cache-info", 404, "");
    }),
    (
        "cache-info-malformed",
        "a web page for everything",
        |case| {
            case.put("nix-cache-info", "<html>please log in</html>");
        },
    ),
    (
        "cache-info-malformed",
        "a priority that is no number",
        |case| {
            case.put("nix-cache-info", "StoreDir: /nix/store\nPriority: high\n");
        },
    ),
    ("store-dir-differs", "a cache of another store", |case| {
        case.put("nix-cache-info", "StoreDir: /gnu/store\nPriority: 30\n");
    }),
    ("priority-missing", "no Priority line", |case| {
        case.put("nix-cache-info", "StoreDir: /nix/store\n");
    }),
    ("cache-slow", "far away", |case| {
        case.served.lock().unwrap().wait = Duration::from_millis(1100);
    }),
    (
        "key-missing signer-not-trusted",
        "the key of a declared cache is not trusted",
        |case| {
            declare(case);
            case.user("trusted-public-keys =\n");
        },
    ),
    ("key-malformed", "half a key", |case| {
        case.user("extra-trusted-public-keys = half-1:abcd\n");
    }),
    ("key-differs", "a key that was replaced", |case| {
        let other = SecretKey::generate("cache.example-1", [8; 32]).unwrap();
        case.user(&format!("trusted-public-keys = {}\n", other.public()));
    }),
    ("signer-not-trusted", "signed by a stranger", |case| {
        case.narinfo(
            "",
            Some(&SecretKey::generate("stranger-1", [9; 32]).unwrap()),
        );
    }),
    ("unsigned", "pushed without a key", |case| {
        case.narinfo("", None);
    }),
    ("path-absent", "never pushed", |case| {
        case.answer(&format!("{HASH}.narinfo"), 404, "");
    }),
    ("path-unknown", "the server fails at the narinfo", |case| {
        case.answer(&format!("{HASH}.narinfo"), 503, "");
    }),
    ("not-looked-at", "a bucket among the caches", |case| {
        case.user("extra-substituters = s3://bucket\n");
    }),
    (
        "closure-unknown",
        "the server fails at a reference",
        |case| {
            let lib = "11111111111111111111111111111111";
            case.narinfo(&format!("{lib}-lib"), Some(&case.key));
            case.answer(&format!("{lib}.narinfo"), 502, "");
        },
    ),
    ("narinfo-malformed", "a page for a narinfo", |case| {
        case.put(&format!("{HASH}.narinfo"), "<html>");
    }),
    (
        "closure-incomplete",
        "a reference that was collected",
        |case| {
            case.narinfo("11111111111111111111111111111111-lib", Some(&case.key));
        },
    ),
    ("nar-missing", "the NAR was collected", |case| {
        case.answer("nar/x.nar", 404, "");
    }),
    ("nar-size-differs", "the NAR was cut off", |case| {
        case.put("nar/x.nar", "not looked");
    }),
    ("nar-damaged", "a bit turned over", |case| {
        case.put("nar/x.nar", "not looked intp");
    }),
    ("remembered-miss", "asked before it was pushed", |case| {
        case.remember(false, 30);
    }),
    (
        "path-absent remembered-hit",
        "pruned after it was asked for",
        |case| {
            case.answer(&format!("{HASH}.narinfo"), 404, "");
            case.remember(true, 30);
        },
    ),
    ("remembered-priority", "the priority changed", |case| {
        case.remember(true, 50);
    }),
    (
        "daemon-older",
        "settings changed, the daemon did not see",
        |case| {
            let program = case.bed.root().join("nix-daemon");
            std::fs::copy("/bin/sleep", &program).unwrap();
            case.child = Some(Command::new(program).arg("60").spawn().unwrap());
            let file = std::fs::File::options()
                .append(true)
                .open(case.machine_file())
                .unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(10))
                .unwrap();
            case.bed.set("NIX_REMOTE", "daemon");
        },
    ),
    ("clock-differs", "another century", |case| {
        case.served.lock().unwrap().date = Some("Fri, 31 Dec 1999 23:59:59 GMT");
    }),
];

/// Codes that cannot be set up here, and why.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[];

/// Declares the cache of the server.
fn declare(case: &Case) {
    let text = format!(
        "version: 1\nproject: doctor\ncaches:\n  far: {{ type: upstream, url: '{}', insecure: true, public-keys: ['{}'] }}\n\
         artifacts: {{ all: {{ priority: 10, default: true }} }}\npush: {{ enabled: false }}\n",
        case.url,
        case.key.public()
    );
    case.bed.write("cache.yaml", text);
}

/// The cache is declared in `cache.yaml`, its key is trusted, and Nix does not ask it.
pub(crate) fn declared_only(case: &mut Case) {
    declare(case);
    let folder = case.bed.root().join("other");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("nix-cache-info"),
        "StoreDir: /nix/store\nPriority: 1\n",
    )
    .unwrap();
    case.forget();
    let key = case.key.public();
    case.machine(&format!(
        "substituters = file://{}\ntrusted-public-keys = {key}",
        folder.display()
    ));
}
