//! Building again, and sources.

use crate::Pushed;
use crate::e2e_world::{World, with_each_nix};
use crate::support::real_nix::RealNix;

#[test]
fn what_differs_is_named_by_file_and_counted() {
    with_each_nix(|world| {
        world.flake(
            r#"same = sh "same" [] "echo always > $out";
               other = sh "other" [] "mkdir $out; echo always > $out/a; date +%N > $out/b";"#,
        );
        world.config(crate::ALL.replace("#app", "#same").as_str());
        let said = world.run("verify --rebuild .#same").success();
        assert!(
            said.stdout.contains("reproduced 1 time by 1 machine"),
            "{said}"
        );
        let said = world.run("verify --rebuild .#same .#other").fails(7);
        assert!(
            said.stdout.contains("reproduced 2 times by 1 machine"),
            "{said}"
        );
        assert!(said.stdout.contains("b: "), "{said}");
        assert!(!said.stdout.contains("a: "), "{said}");
        assert!(said.stdout.contains(".check"), "{said}");
        let said = world.run("verify --rebuild .#other --format json").fails(7);
        let told = said.json();
        assert_eq!(told[0]["differences"][0]["file"], "b");
        assert_eq!(told[0]["reproduced"]["different"], 2);
        let _ = world.run("verify --rebuild .#none").fails(1);
    });
}

#[test]
fn a_source_that_was_changed_in_the_store_is_found() {
    let Some(nix) = RealNix::all().into_iter().next() else {
        return;
    };
    let world = World::new(nix);
    world.flake(
        r#"note = builtins.toFile "note" "a source";
           fixed = derivation { name = "fixed"; system = "@SYSTEM@"; builder = "/bin/sh";
             args = [ "-c" "echo fixed > $out" ]; outputHashMode = "flat"; outputHashAlgo = "sha256";
             outputHash = builtins.hashString "sha256" "fixed\n"; };
           app = sh "app" [ fixed ] "echo $inputs ${note} > $out";"#,
    );
    world.config(crate::ALL);
    let _ = world.build("app");
    let said = world.run("verify --sources").success();
    assert!(said.stdout.contains("no damage"), "{said}");
    let report = world.run("verify --sources --format json").success().json();
    assert!(report["derived"].as_u64().unwrap() >= 2, "{report}");
    let fixed = world.output("fixed");
    let file = world.nix.root().join(fixed.trim_start_matches('/'));
    assert!(file.exists(), "{}", file.display());
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "other\n").unwrap();
    let report = world.run("verify --sources --format json").fails(7).json();
    assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["findings"][0]["code"], "source-hash");
}

/// Serves a folder by HTTP, a connection at a time, until the test ends.
fn serve(folder: std::path::PathBuf) -> String {
    use std::io::{BufRead as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
            let Some(Ok(first)) = lines.next() else {
                continue;
            };
            for line in lines.by_ref() {
                if line.is_ok_and(|line| line.is_empty()) {
                    break;
                }
            }
            let path = first
                .split(' ')
                .nth(1)
                .unwrap()
                .trim_start_matches('/')
                .to_owned();
            let found = std::fs::read(folder.join(path));
            let (status, body) =
                found.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            if !first.starts_with("HEAD") {
                let _ = stream.write_all(&body);
            }
        }
    });
    url
}

#[test]
fn of_an_upstream_the_wanted_paths_are_verified_over_http() {
    let Some(pushed) = Pushed::new() else { return };
    let key = pushed.world.public_key("keys/dev.sec");
    let url = serve(pushed.cache());
    let upstream = |key: &str| {
        let up = format!(
            "  up: {{ type: upstream, url: '{url}', insecure: true, public-keys: ['{key}'] }}\n"
        );
        pushed.world.config(&format!("{up}{}", crate::ALL));
    };
    upstream(&key);
    let report = pushed
        .world
        .run("verify up --all --format json")
        .success()
        .json();
    assert_eq!(report["checked"]["narinfos"], 3);
    assert_eq!(report["checked"]["nars"], 3);
    assert_eq!(report["coverage"]["signed"], 3);
    assert_eq!(report["unknowns"].as_array().unwrap().len(), 1, "{report}");
    let file = pushed.nar_file(&pushed.lib);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[9] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let said = pushed.world.run("verify up --all").fails(7);
    assert!(said.stdout.contains("file-hash"), "{said}");
    let said = pushed.world.run("verify up --repair").fails(64);
    assert!(said.stderr.contains("only read"), "{said}");
    upstream("x-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=");
    let said = pushed.world.run("verify up --sample 0").fails(7);
    assert!(said.stdout.contains("signature-missing"), "{said}");
}
