//! Uploads: what makes a path, and everything that must not.

use nanna_cache::nix::hash::Sha256;
use nanna_cache::nix::key::SecretKey;
use nanna_cache::nix::narinfo::NarInfo;
use nanna_cache::nix::store_path::StoreDir;
use serde_json::{Value, json};

use crate::client::{Client, Thing, md5};
use crate::http::send;
use crate::world;

#[test]
fn a_path_in_several_parts_is_signed_and_served() {
    let (standin, client) = world(|cache| cache);
    let text: String = (0u32..2000)
        .map(|n| Sha256::of(&n.to_le_bytes()).to_hex())
        .collect();
    let thing = Thing::new('a', &text, &[]);
    for (thing, method) in [(&thing, "zst"), (&Thing::new('b', &text, &[&thing]), "xz")] {
        let reply = client.push_with(thing, method, 20_000, |_| ());
        assert_eq!((reply.status, reply.text().as_str()), (200, ""));
        let url = format!("{}/{}.narinfo", standin.cache("team").url(), thing.hash);
        let reply = send("GET", &url, &[], None).unwrap();
        assert_eq!(reply.header("content-type"), "text/x-nix-narinfo");
        let info = NarInfo::parse(&reply.text(), &StoreDir::default()).unwrap();
        let key = standin.cache("team").public_keys()[0].parse().unwrap();
        assert!(info.is_signed_by(&key, &StoreDir::default()));
        assert_eq!(key.name(), "team.cachix.org-1");
        let file = thing.file(method);
        let hex = Sha256::of(&file).to_hex();
        assert_eq!(info.url, format!("nar/{hex}.nar.{method}"));
        assert!(reply.text().contains(&format!("FileHash: sha256:{hex}\n")));
        assert_eq!(
            reply.text().contains("References:"),
            !thing.references.is_empty()
        );
        assert!(!reply.text().contains("Deriver"));
        assert_eq!(standin.cache("team").file(&thing.hash).unwrap(), file);
    }
    assert_eq!(standin.complaints(), [""; 0]);
    assert_eq!(standin.uploads(), 0);
    assert!(standin.requests().count("PUT", "/storage/parts/*") > 4);
    assert!(
        standin
            .requests()
            .all()
            .iter()
            .all(|one| one.has_token != one.path.starts_with("/storage/") || one.method == "GET")
    );
}

#[test]
fn wrong_words_about_a_path_are_refused() {
    let (standin, client) = world(|cache| cache);
    let other = format!("{}-other", "c".repeat(32));
    let hash = Sha256::of(b"x");
    let changes: Vec<(&str, Value)> = vec![
        ("cStoreHash", json!("e".repeat(32))),
        ("cStoreHash", json!("a".repeat(31))),
        ("cStoreSuffix", json!("a/b")),
        ("cStoreSuffix", json!("")),
        ("cNarHash", json!(hash.to_hex())),
        ("cNarHash", json!(format!("sha256:{}", hash.to_hex()))),
        ("cNarSize", json!(0)),
        ("cNarSize", json!("120")),
        ("cFileHash", json!(hash.to_string())),
        ("cFileHash", json!(hash.to_hex())),
        ("cFileHash", json!(hash.to_hex().to_uppercase())),
        ("cFileSize", json!(1)),
        ("cReferences", json!([format!("/nix/store/{other}")])),
        (
            "cReferences",
            json!([other, format!("{}-first", "b".repeat(32))]),
        ),
        ("cReferences", json!([other, other])),
        ("cReferences", json!(null)),
        ("cDeriver", json!("")),
        ("cDeriver", json!(null)),
        ("cDeriver", json!("/nix/store/x.drv")),
        ("cSig", json!("team.cachix.org-1:AAAA")),
    ];
    for (field, value) in changes {
        let thing = Thing::new('a', "hello", &[]);
        let reply = client.push_with(&thing, "zst", usize::MAX, |said| {
            said[field] = value.clone();
        });
        assert_eq!(reply.status, 400, "{field} {value}: {}", reply.text());
        // Another name for the field is no field.
        let reply = client.push_with(&thing, "zst", usize::MAX, |said| {
            let said = said.as_object_mut().unwrap();
            let value = said.shift_remove(field).unwrap();
            said.insert(field.to_lowercase(), value);
        });
        // Only a signature may be left out.
        let expected = if field == "cSig" { 200 } else { 400 };
        assert_eq!(reply.status, expected, "{field}: {}", reply.text());
        standin.cache("team").remove_path(&thing.hash);
    }
    assert!(standin.cache("team").paths().is_empty());
}

#[test]
fn wrong_parts_are_refused() {
    let (standin, client) = world(|cache| cache);
    let thing = Thing::new('a', &"many words ".repeat(9), &[]);
    let file = thing.file("zst");
    assert!(file.len() > 40);
    for method in ["zstd", "none", "ZST", ""] {
        let rest = format!("/multipart-nar?compression={method}");
        assert_eq!(client.at("POST", &rest, None).status, 400, "{method}");
    }
    assert_eq!(client.at("POST", "/multipart-nar", None).status, 400);

    let begun = client.begin("zst");
    for number in [0, 10_001] {
        assert_eq!(client.part_url(&begun, number, &md5(b"x")).status, 400);
    }
    assert_eq!(client.part_url(&begun, 1, "AAAA").status, 400);
    assert_eq!(
        client
            .part_url(&begun, 1, "900150983cd24fb0d6963f7d28e17f72")
            .status,
        400
    );
    let rest = format!("/multipart-nar/{}?{}&partNumber=1", begun.id, begun.query);
    let wrong = json!({ "contentMd5": md5(b"x") });
    assert_eq!(client.at("POST", &rest, Some(&wrong)).status, 400);
    let rest = format!("/multipart-nar/{}?uploadId=x&partNumber=1", begun.id);
    let right = json!({ "contentMD5": md5(b"x") });
    assert_eq!(client.at("POST", &rest, Some(&right)).status, 404);

    let (one, two) = file.split_at(20);
    let first = client.part(&begun, 1, one).unwrap();
    let second = client.part(&begun, 2, two).unwrap();
    let said = thing.said(&file);
    let refused = |etags: &[String]| {
        let reply = client.complete(&begun, etags, &said).unwrap();
        assert_eq!(reply.status, 400, "{}", reply.text());
        reply.text()
    };
    assert!(refused(&[first.clone(), second.clone()]).contains("smaller"));
    assert!(refused(&[]).contains("at least one"));
    assert!(refused(&[first.trim_matches('"').to_owned()]).contains("eTag"));
    assert!(refused(&[second, first.clone()]).contains("eTag"));
    assert!(refused(&[first]).contains("cFileSize"));
    let rest = format!("/multipart-nar/{}/complete?{}", begun.id, begun.query);
    let body = json!({ "parts": null, "narInfoCreate": said });
    assert_eq!(client.at("POST", &rest, Some(&body)).status, 400);
    let gap = json!({ "parts": [{ "partNumber": 2, "eTag": "x" }], "narInfoCreate": said });
    assert!(
        client
            .at("POST", &rest, Some(&gap))
            .text()
            .contains("out of order")
    );

    // The same upload can still be put right.
    let whole = client.part(&begun, 1, &file).unwrap();
    assert_eq!(
        client
            .complete(&begun, std::slice::from_ref(&whole), &said)
            .unwrap()
            .status,
        200
    );
    // It is over now.
    assert_eq!(
        client.complete(&begun, &[whole], &said).unwrap().status,
        404
    );
    assert_eq!(standin.cache("team").paths(), [thing.base_name()]);
}

#[test]
fn presigned_addresses_hold_only_for_what_they_were_signed_for() {
    let (standin, client) = world(|cache| cache);
    let begun = client.begin("zst");
    let bytes = b"some bytes";
    let digest = md5(bytes);
    let url = client.part_url(&begun, 1, &digest).json()["uploadUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(url.starts_with(&standin.storage_url()) && !url.starts_with(&standin.url()));
    let put = |url: &str, headers: &[(&str, &str)], body: &[u8]| {
        send("PUT", url, headers, Some(body)).unwrap().status
    };
    let right = ("Content-MD5", digest.as_str());
    let other = md5(b"other");
    assert_eq!(
        put(&url, &[right, ("Authorization", "Bearer x")], bytes),
        400
    );
    assert_eq!(put(&url, &[], bytes), 403);
    assert_eq!(put(&url, &[("Content-MD5", &other)], b"other"), 403);
    assert_eq!(put(&url, &[right], b"same bytes"), 400);
    let no_length = send("PUT", &url, &[right], None).unwrap();
    assert_eq!(no_length.status, 411, "a length is wanted");
    assert_eq!(put(&url.replace("/1?", "/2?"), &[right], bytes), 403);
    assert_eq!(send("GET", &url, &[right], None).unwrap().status, 403);
    assert_eq!(put(&url, &[right], bytes), 200);
    assert_eq!(standin.complaints().len(), 1, "no content type");
    standin.clock().advance(std::time::Duration::from_hours(2));
    assert_eq!(put(&url, &[right], bytes), 403);
    let url = client.part_url(&begun, 2, &digest).json()["uploadUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    let rest = format!("/multipart-nar/{}/abort?{}", begun.id, begun.query);
    assert_eq!(client.at("POST", &rest, None).status, 200);
    assert_eq!(client.at("POST", &rest, None).status, 404);
    assert_eq!(put(&url, &[right], bytes), 404);
    assert_eq!(standin.uploads(), 0);
}

#[test]
fn what_is_there_is_not_overwritten() {
    let (standin, client) = world(|cache| cache);
    client.push(&Thing::new('a', "first", &[]));
    let before = standin.cache("team").entry(&"a".repeat(32));
    client.push(&Thing::new('a', "second", &[]));
    assert_eq!(standin.cache("team").entry(&"a".repeat(32)), before);
    assert!(standin.cache("team").file(&"a".repeat(32)).is_some());
}

#[test]
fn a_file_that_is_not_what_was_said_of_it_is_complained_about() {
    let (standin, client) = world(|cache| cache);
    let thing = Thing::new('a', "first", &[]);
    let other = Sha256::of(b"another NAR").to_string();
    let reply = client.push_with(&thing, "zst", usize::MAX, |said| {
        said["cNarHash"] = json!(other);
    });
    assert_eq!(reply.status, 200);
    assert!(standin.complaints()[0].contains("not what was said"));
    let reply = client.push_with(&Thing::new('b', "x", &[]), "xz", usize::MAX, |_| ());
    assert_eq!((reply.status, standin.complaints().len()), (200, 1));
}

#[test]
fn a_self_signed_cache_wants_a_key_and_bare_signatures() {
    let (standin, client) = world(crate::cachix::CacheSettings::self_signed);
    let key = SecretKey::generate("anything-1", [9; 32]).ok().unwrap();
    let thing = Thing::new('a', "signed", &[]);
    let text = nanna_cache::nix::narinfo::fingerprint(
        &StoreDir::default(),
        &thing.base_name().parse().unwrap(),
        Sha256::of(&thing.nar),
        thing.nar.len() as u64,
        [],
    );
    let signature = key.sign(&text).to_string();
    let bare = signature.split_once(':').unwrap().1;
    let push = |sig: Value| {
        let reply = client.push_with(&thing, "zst", usize::MAX, |said| said["cSig"] = sig);
        (reply.status, reply.text())
    };
    assert!(push(json!(bare)).1.contains("no signing key"));
    assert!(standin.cache("team").public_keys().is_empty());

    let register = |client: &Client, text: &str| {
        client
            .at("POST", "/key", Some(&json!({ "publicKey": text })))
            .status
    };
    let public = key.public().to_string();
    let public = public.split_once(':').unwrap().1;
    assert_eq!(register(&client, &format!("team-1:{public}")), 400);
    assert_eq!(register(&client, "AAAA"), 400);
    assert_eq!(register(&client, public), 200);
    assert_eq!(
        standin.cache("team").public_keys(),
        [format!("team.cachix.org-1:{public}")]
    );

    assert_eq!(push(Value::Null).0, 400);
    assert_eq!(push(json!(signature)).0, 400);
    let other = key.sign("another text").to_string();
    assert!(
        push(json!(other.split_once(':').unwrap().1))
            .1
            .contains("verify")
    );
    assert_eq!(push(json!(bare)), (200, String::new()));
    let narinfo = standin.cache("team").narinfo(&thing.hash).unwrap();
    assert!(narinfo.ends_with(&format!("Sig: team.cachix.org-1:{bare}\n")));
}
