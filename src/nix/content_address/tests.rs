//! The worked examples, and what Nix refuses.

use super::*;

fn store_path(ca: &str, references: &[&str], name: &str) -> String {
    let ca: ContentAddress = ca.parse().unwrap();
    let references: Vec<StorePath> = references.iter().map(|r| r.parse().unwrap()).collect();
    ca.store_path(&references, false, name, &StoreDir::default())
        .unwrap()
        .to_string()
}

const HELLO: &str = "fixed:r:sha256:0ff2ggba9j6id37a08s61i1cshldm97k0dc79889wbar68njxjjd";
const TEXT: &str = "text:sha256:06drik7vx2qm9yy0h63b24phshgmywafni1gx5b6lvxmmlbxz47g";

#[test]
fn computes_the_known_paths() {
    let hello = "ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt";
    assert_eq!(store_path(HELLO, &[], "hello.txt"), hello);
    let nar = Sha256::from_hex("4dca2e2d32592d9e104a8735304faa8d42cd420c4623a0ce68d1c8a4d67bc239");
    let directory = path_of_directory(nar.unwrap(), "hello.txt", &StoreDir::default());
    assert_eq!(directory.unwrap().to_string(), hello);
    assert_eq!(
        store_path(
            "fixed:sha256:1m3m5vs4l8nn6gbgyw6k3fppr27l7jxkl4p4xs1y2zkzjm9djnbn",
            &[],
            "flat.bin"
        ),
        "a1ga4276a7s3fw8jq7p85vfhii137cs2-flat.bin"
    );
    assert_eq!(
        store_path(TEXT, &[hello], "ref.txt"),
        "gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt"
    );
}

#[test]
fn prints_what_it_reads() {
    let sha1 = "0000000000000000000000000000000a";
    let md5 = "00000000000000000000000001";
    for text in [
        HELLO.to_owned(),
        TEXT.to_owned(),
        format!("fixed:sha1:{sha1}"),
        format!("fixed:r:md5:{md5}"),
        format!("fixed:git:sha1:{sha1}"),
    ] {
        assert_eq!(text.parse::<ContentAddress>().unwrap().to_string(), text);
    }
}

#[test]
fn refuses_what_nix_refuses() {
    let sha1 = "sha1:0000000000000000000000000000000a";
    let form = |text: &str| text.parse::<ContentAddress>().unwrap_err();
    assert_eq!(form("source:sha256:x"), ContentAddressError::Form);
    assert_eq!(
        form("fixed:r:x"),
        ContentAddressError::Hash(HashError::NoAlgorithm)
    );
    assert_eq!(
        form(&format!("text:{sha1}")),
        ContentAddressError::Algorithm(Algorithm::Sha1)
    );
    let store = StoreDir::default();
    let other: StorePath = "ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt"
        .parse()
        .unwrap();
    for prefix in ["fixed:", "fixed:r:", "fixed:git:"] {
        let ca: ContentAddress = format!("{prefix}{sha1}").parse().unwrap();
        assert!(ca.store_path([], false, "x", &store).is_ok());
        let with = ca.store_path([&other], false, "x", &store);
        assert_eq!(with, Err(ContentAddressError::References));
        let with = ca.store_path([], true, "x", &store);
        assert_eq!(with, Err(ContentAddressError::SelfReference));
    }
    let text: ContentAddress = TEXT.parse().unwrap();
    let with = text.store_path([], true, "x", &store);
    assert_eq!(with, Err(ContentAddressError::SelfReference));
    let nar: ContentAddress = HELLO.parse().unwrap();
    assert!(nar.store_path([&other], true, "x", &store).is_ok());
    assert!(nar.store_path([], false, "x/y", &store).is_err());
}

#[test]
fn every_input_changes_the_path() {
    let nar: ContentAddress = HELLO.parse().unwrap();
    let store = StoreDir::default();
    let other: StorePath = "ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt"
        .parse()
        .unwrap();
    let paths = [
        nar.store_path([], false, "x", &store).unwrap(),
        nar.store_path([], true, "x", &store).unwrap(),
        nar.store_path([&other], false, "x", &store).unwrap(),
        nar.store_path([], false, "y", &store).unwrap(),
        nar.store_path([], false, "x", &StoreDir::new("/gnu/store").unwrap())
            .unwrap(),
    ];
    let distinct: std::collections::BTreeSet<_> = paths.iter().map(StorePath::hash).collect();
    assert_eq!(distinct.len(), paths.len());
}
