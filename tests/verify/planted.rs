//! Planted damage.

use crate::Pushed;

/// Something that happens to a cache, and what is found then.
type Plant = (&'static str, fn(&Pushed), &'static [&'static str], i32);

fn insert(text: String, line: &str) -> String {
    format!("{text}{line}\n")
}

fn without(text: &str, field: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with(field));
    lines.map(|line| format!("{line}\n")).collect()
}

/// A NAR of a directory whose entries stand in the wrong order.
fn unsorted() -> Vec<u8> {
    let mut nar = Vec::new();
    let mut put = |text: &str| {
        nar.extend((text.len() as u64).to_le_bytes());
        nar.extend(text.as_bytes());
        nar.resize(nar.len().next_multiple_of(8), 0);
    };
    for word in ["nix-archive-1", "(", "type", "directory"] {
        put(word);
    }
    for name in ["b", "a"] {
        for word in [
            "entry", "(", "name", name, "node", "(", "type", "symlink", "target", "x", ")", ")",
        ] {
            put(word);
        }
    }
    put(")");
    nar
}

const DAMAGES: &[Plant] = &[
    (
        "a narinfo that is cut off",
        |it| it.edit(&it.lib, |text| text[..text.len() - 9].to_owned()),
        &["narinfo-malformed LIB.narinfo"],
        7,
    ),
    (
        "a narinfo of nothing",
        |it| it.edit(&it.lib, |_| String::new()),
        &["narinfo-malformed LIB.narinfo", "nar-orphaned NAR"],
        7,
    ),
    (
        "references twice",
        |it| {
            it.edit(&it.app, |text| {
                insert(
                    text.clone(),
                    text.lines().find(|l| l.starts_with("References")).unwrap(),
                )
            })
        },
        &["narinfo-malformed APP.narinfo"],
        7,
    ),
    (
        "a hash that is no hash",
        |it| {
            it.edit(&it.lib, |text| {
                text.replace("NarHash: sha256:", "NarHash: sha256:e")
            })
        },
        &["narinfo-malformed LIB.narinfo"],
        7,
    ),
    (
        "a narinfo under another name",
        |it| {
            let other = it.cache().join("00000000000000000000000000000000.narinfo");
            std::fs::copy(it.narinfo(&it.app), other).unwrap();
        },
        &["narinfo-misplaced app"],
        7,
    ),
    (
        "a name that is no hash",
        |it| {
            std::fs::copy(it.narinfo(&it.app), it.cache().join("app.narinfo")).unwrap();
        },
        &["narinfo-misplaced app.narinfo"],
        7,
    ),
    (
        "a field twice",
        |it| {
            it.edit(&it.lib, |text| {
                text.replace("Compression:", "Compression: xz\nCompression:")
            })
        },
        &["narinfo-repeated lib"],
        7,
    ),
    (
        "a signature that is none",
        |it| it.edit(&it.lib, |text| insert(text, "Sig: dev:!!")),
        &["signature-malformed lib"],
        7,
    ),
    (
        "a signature of something else",
        |it| {
            let app = it.text(&it.app);
            let sig = app
                .lines()
                .find(|line| line.starts_with("Sig: "))
                .unwrap()
                .to_owned();
            it.edit(&it.lib, |text| insert(without(&text, "Sig: "), &sig));
        },
        &["signature-false lib"],
        7,
    ),
    (
        "no signature",
        |it| it.edit(&it.lib, |text| without(&text, "Sig: ")),
        &["signature-missing lib"],
        7,
    ),
    (
        "a content address of something else",
        |it| {
            it.edit(&it.note, |text| {
                let hash = nanna_cache::nix::hash::Sha256::of(b"other");
                insert(without(&text, "CA: "), &format!("CA: text:{hash}"))
            })
        },
        &["ca-false note"],
        7,
    ),
    (
        "a reference that is nowhere",
        |it| {
            std::fs::remove_file(it.nar_file(&it.lib)).unwrap();
            std::fs::remove_file(it.narinfo(&it.lib)).unwrap();
        },
        &["reference-missing app"],
        7,
    ),
    (
        "a NAR that is gone",
        |it| std::fs::remove_file(it.nar_file(&it.lib)).unwrap(),
        &["nar-missing lib"],
        7,
    ),
    (
        "a NAR file that is cut off",
        |it| {
            let file = it.nar_file(&it.lib);
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        },
        &["file-size lib"],
        7,
    ),
    (
        "a NAR file with a flipped bit",
        |it| {
            let file = it.nar_file(&it.lib);
            let mut bytes = std::fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&file, &bytes).unwrap();
        },
        &["file-hash lib"],
        7,
    ),
    (
        "a file that does not decompress",
        |it| it.replace_file(&it.lib, b"no zstd at all"),
        &["nar-undecodable lib"],
        7,
    ),
    (
        "entries in the wrong order",
        |it| it.replace_nar(&it.lib, &unsorted()),
        &["nar-malformed lib"],
        7,
    ),
    (
        "bytes behind the end of the NAR",
        |it| {
            let mut nar = it.nar(&it.lib);
            nar.extend([0; 8]);
            it.replace_nar(&it.lib, &nar);
        },
        &["nar-malformed lib"],
        7,
    ),
    (
        "a NAR that is longer than said",
        |it| it.forge(&it.lib, |info| info.nar_size -= 8),
        &["nar-size lib"],
        7,
    ),
    (
        "a NAR that is shorter than said",
        |it| it.forge(&it.lib, |info| info.nar_size += 8),
        &["nar-size lib"],
        7,
    ),
    (
        "a NAR with another hash",
        |it| it.forge(&it.lib, |info| info.nar_hash.0[7] ^= 1),
        &["nar-hash lib"],
        7,
    ),
    (
        "content that is not that of its address",
        |it| {
            let mut nar = it.nar(&it.note);
            let at = nar.windows(4).position(|four| four == b"note").unwrap();
            nar[at] = b'N';
            it.replace_nar(&it.note, &nar);
        },
        &["ca-content note"],
        7,
    ),
    (
        "no nix-cache-info",
        |it| std::fs::remove_file(it.cache().join("nix-cache-info")).unwrap(),
        &["cache-info nix-cache-info"],
        7,
    ),
    (
        "a field that Nix does not know",
        |it| it.edit(&it.lib, |text| insert(text, "System: x86_64-linux")),
        &["narinfo-unknown-field lib"],
        0,
    ),
    (
        "a hash in another form",
        |it| {
            it.edit(&it.lib, |text| {
                let line = text
                    .lines()
                    .find(|line| line.starts_with("NarHash: "))
                    .unwrap()
                    .to_owned();
                let hash: nanna_cache::nix::hash::Sha256 = line[9..].parse().unwrap();
                text.replace(&line, &format!("NarHash: sha256:{}", hash.to_hex()))
            })
        },
        &["narinfo-form lib"],
        0,
    ),
    (
        "a reference that is not in the NAR",
        |it| {
            let note = it.note[11..].parse().unwrap();
            it.forge(&it.lib, |info| info.references.push(note));
        },
        &["reference-unfound lib"],
        0,
    ),
    (
        "a reference that is not declared",
        |it| {
            it.forge(&it.app, |info| {
                info.references.retain(|path| path.name() != "lib")
            })
        },
        &["reference-undeclared app"],
        0,
    ),
    (
        "a NAR of nobody",
        |it| {
            std::fs::write(
                it.cache()
                    .join("nar/0000000000000000000000000000000000000000000000000000.nar.zst"),
                "x",
            )
            .unwrap()
        },
        &["nar-orphaned nar/0000000000000000000000000000000000000000000000000000.nar.zst"],
        0,
    ),
    (
        "a left-over",
        |it| std::fs::write(it.cache().join("nar/x.tmp.123.4"), "x").unwrap(),
        &["leftover nar/x.tmp.123.4"],
        0,
    ),
    (
        "a root of nothing",
        |it| {
            std::fs::write(
                it.cache()
                    .join("nanna-cache/v1/roots/all/00000000000000000000000000000000.json"),
                "{}",
            )
            .unwrap();
        },
        &["root-dangling nanna-cache/v1/roots/all/00000000000000000000000000000000.json"],
        0,
    ),
];

#[test]
fn a_clean_cache_has_no_finding_and_each_damage_is_found_alone() {
    let Some(pushed) = Pushed::new() else { return };
    pushed.finds(&[], 0);
    let mut wrong = Vec::new();
    for (what, plant, expected, exit) in DAMAGES {
        pushed.restore();
        let nar = pushed.nar_file(&pushed.lib);
        let nar = nar
            .strip_prefix(pushed.cache())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        plant(&pushed);
        let fill = |text: &&str| {
            text.replace("LIB", &pushed.lib[11..43])
                .replace("APP", &pushed.app[11..43])
                .replace("NAR", &nar)
        };
        let expected: Vec<String> = expected.iter().map(fill).collect();
        let (found, code) = pushed.verify("");
        if (&found, code) != (&expected, *exit) {
            wrong.push(format!(
                "{what}: {found:?} ({code}) instead of {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    pushed.restore();
    pushed.finds(&[], 0);
}
