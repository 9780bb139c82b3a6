//! The reader's rules one by one, and the worked example.

use super::*;
use proptest::prelude::*;

const EXAMPLE: &str = "\
StorePath: /nix/store/f195fnyk5327666xrc2y1sky4xmh2qs8-signed-1.0
URL: nar/04qp0yn020drcr7xjzka3dz8mcjknx74gf18c5b7cbjcfdxqp1kw.nar.zst
Compression: zstd
FileHash: sha256:04qp0yn020drcr7xjzka3dz8mcjknx74gf18c5b7cbjcfdxqp1kw
FileSize: 214
NarHash: sha256:0wj0c1sq5fv4z0wv62hb72wdz4x4aq4bw3cl8pzyc9nnhrw32f7s
NarSize: 568
References: gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt
Sig: example-1:Yp4btLjs+B7lKhyCBAtuvIAVbda2XtnoPlFpjcN7LwGNA8/MyXNiqqYQoOm5f5Pa28VGJsx28t5akdkKNHNQBQ==
";

fn parse(text: &str) -> Result<NarInfo, NarInfoError> {
    NarInfo::parse(text, &StoreDir::default())
}

fn print(info: &NarInfo) -> String {
    info.display(&StoreDir::default()).to_string()
}

/// The error for the example with one text replaced by another.
fn after(from: &str, to: &str) -> NarInfoError {
    let text = EXAMPLE.replace(from, to);
    assert_ne!(text, EXAMPLE, "`{from}` does not occur");
    parse(&text).expect_err(to)
}

#[test]
fn the_worked_example_reads_verifies_and_prints_back() {
    let info = parse(EXAMPLE).unwrap();
    assert_eq!(print(&info), EXAMPLE);
    assert_eq!(info.file_name(), "f195fnyk5327666xrc2y1sky4xmh2qs8.narinfo");
    let store = StoreDir::default();
    assert_eq!(
        info.fingerprint(&store),
        "1;/nix/store/f195fnyk5327666xrc2y1sky4xmh2qs8-signed-1.0;sha256:0wj0c1sq5fv4z0wv62hb72wdz4x4aq4bw3cl8pzyc9nnhrw32f7s;568;/nix/store/gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt,/nix/store/ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt"
    );
    let key = "example-1:DdvR7W7LsWyeyNYtnlBL2BkeTa++hMvvaFhACroldEA="
        .parse()
        .unwrap();
    assert!(info.is_signed_by(&key, &store));
    assert!(!info.has_valid_ca(&store));
}

#[test]
fn a_fingerprint_without_references_ends_in_a_semicolon() {
    let mut info = parse(EXAMPLE).unwrap();
    info.references.clear();
    assert!(info.fingerprint(&StoreDir::default()).ends_with(";568;"));
    assert!(print(&info).contains("References: \n"));
    assert_eq!(parse(&print(&info)).unwrap(), info);
}

#[test]
fn refuses_what_nix_calls_corrupt() {
    use NarInfoError::*;
    assert_eq!(parse("").unwrap_err(), Empty);
    for cut in 1..EXAMPLE.len() {
        assert!(
            parse(&EXAMPLE[..cut]).is_err() || EXAMPLE.as_bytes()[cut - 1] == b'\n',
            "{cut}"
        );
    }
    let unended = EXAMPLE.trim_end();
    assert_eq!(parse(unended).unwrap_err(), Truncated { line: 9 });
    assert_eq!(
        parse(&EXAMPLE.replace('\n', "\r\n")).unwrap_err(),
        CarriageReturn { line: 1 }
    );
    assert_eq!(after("URL: ", "\nURL: "), EmptyLine { line: 2 });
    assert_eq!(
        parse(&format!("{EXAMPLE}\n")).unwrap_err(),
        EmptyLine { line: 10 }
    );
    assert_eq!(after("FileSize: 214", "FileSize 214"), NoColon { line: 5 });
    assert_eq!(
        after("Compression: zstd", "Compression:zstd"),
        NoBlank { line: 3 }
    );
}

#[test]
fn refuses_wrong_values() {
    use NarInfoError::*;
    let references = EXAMPLE.lines().nth(7).unwrap();
    assert_eq!(after(references, "References:"), NoBlank { line: 8 });
    assert_eq!(
        after("NarSize: 568", "NarSize:  568"),
        Size {
            line: 7,
            key: "NarSize"
        }
    );
    assert_eq!(
        after("NarSize: 568", "NarSize: +5"),
        Size {
            line: 7,
            key: "NarSize"
        }
    );
    assert_eq!(
        after("NarSize: 568", "NarSize: 99999999999999999999"),
        Size {
            line: 7,
            key: "NarSize"
        }
    );
    assert_eq!(
        after("NarSize: 568", "NarSize: 0"),
        Missing { key: "NarSize" }
    );
    assert_eq!(
        after("NarSize: 568", "Narsize: 568"),
        Missing { key: "NarSize" }
    );
    assert_eq!(after("NarHash", "X"), Missing { key: "NarHash" });
    assert_eq!(after("StorePath", "X"), Missing { key: "StorePath" });
    assert_eq!(after("URL", "X"), Missing { key: "URL" });
    assert_eq!(
        after("FileSize: 214", "FileSize: "),
        Size {
            line: 5,
            key: "FileSize"
        }
    );
    assert!(matches!(
        after("FileHash: sha256", "FileHash: sha1"),
        Hash { line: 4, .. }
    ));
    assert!(matches!(
        after("NarHash: sha256:0", "NarHash: sha256:e"),
        Hash { line: 6, .. }
    ));
    assert!(matches!(
        after("StorePath: /nix/store/", "StorePath: "),
        Path { line: 1, .. }
    ));
    assert!(matches!(
        after("References: ", "References: /nix/store/"),
        Path { line: 8, .. }
    ));
    assert_eq!(
        after(references, &format!("{references}\n{references}")),
        Second {
            line: 9,
            key: "References"
        }
    );
    let deriver = "Deriver: /nix/store/gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-a.drv\nSig";
    assert!(matches!(after("Sig", deriver), Path { key: "Deriver", .. }));
    let ca = "CA: text:sha256:06drik7vx2qm9yy0h63b24phshgmywafni1gx5b6lvxmmlbxz47g\n";
    assert_eq!(
        after("Sig", &format!("{ca}{ca}Sig")),
        Second {
            line: 10,
            key: "CA"
        }
    );
    assert!(matches!(
        after("Sig", "CA: x\nSig"),
        ContentAddress { line: 9, .. }
    ));
    let bytes = [EXAMPLE.as_bytes(), b"X: \xff\n"].concat();
    assert_eq!(
        Brief::from_bytes(&bytes, &StoreDir::default()).unwrap_err(),
        NotUtf8 {
            valid: EXAMPLE.len() + 3
        }
    );
}

#[test]
fn tolerates_what_nix_tolerates() {
    let parsed = |from: &str, to: &str| parse(&EXAMPLE.replace(from, to)).unwrap();
    let info = parsed("Sig: ", "Sig: x\nSig: \nSig: a:AAAA\nSig: ");
    assert_eq!((info.malformed_signatures, info.signatures.len()), (3, 1));
    assert_eq!(print(&info), EXAMPLE);
    let info = parsed(
        "Sig: ",
        "System: x86_64-linux\nDeriver: unknown-deriver\nCA: \nSig: ",
    );
    assert_eq!(
        info.unknown,
        [("System".to_owned(), "x86_64-linux".to_owned())]
    );
    assert_eq!(print(&info), EXAMPLE);
    assert_eq!(
        parsed("Compression: zstd\n", "").compression,
        Compression::Bzip2
    );
    assert_eq!(
        parsed("Compression: zstd", "Compression: ").compression,
        Compression::Bzip2
    );
    let other = parsed("Compression: zstd", "Compression: zst").compression;
    assert_eq!(other, Compression::Other("zst".to_owned()));
    let mut lines: Vec<&str> = EXAMPLE.lines().collect();
    lines.reverse();
    assert_eq!(
        print(&parse(&format!("{}\n", lines.join("\n"))).unwrap()),
        EXAMPLE
    );
    assert_eq!(parsed("FileSize: 214\n", "").file_size, None);
    let swapped = parsed(
        "gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt",
        "ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt  gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt",
    );
    assert_eq!(print(&swapped), EXAMPLE);
}

#[test]
fn a_nar_hash_in_another_form_keeps_its_signatures() {
    let info = parse(EXAMPLE).unwrap();
    for form in [
        format!("sha256:{}", info.nar_hash.to_hex()),
        info.nar_hash.to_sri(),
    ] {
        let text = EXAMPLE.replace(&info.nar_hash.to_string(), &form);
        assert_eq!(parse(&text).unwrap(), info);
    }
}

#[test]
fn signing_adds_once_and_sorts() {
    let store = StoreDir::default();
    let mut info = parse(EXAMPLE).unwrap();
    let key = SecretKey::generate("a-1", [7; 32]).unwrap();
    assert!(info.sign(&key, &store));
    assert!(!info.sign(&key, &store));
    assert!(info.is_signed_by(&key.public(), &store));
    let names: Vec<_> = info.signatures.iter().map(Signature::name).collect();
    assert_eq!(names, ["a-1", "example-1"]);
    assert_eq!(parse(&print(&info)).unwrap(), info);
}

#[test]
fn a_content_address_is_believed_only_when_the_path_follows() {
    let store = StoreDir::default();
    let text = "StorePath: /nix/store/gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt
URL: nar/x.nar
Compression: none
NarHash: sha256:0wj0c1sq5fv4z0wv62hb72wdz4x4aq4bw3cl8pzyc9nnhrw32f7s
NarSize: 568
References: ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt
CA: text:sha256:06drik7vx2qm9yy0h63b24phshgmywafni1gx5b6lvxmmlbxz47g
";
    assert!(parse(text).unwrap().has_valid_ca(&store));
    assert_eq!(print(&parse(text).unwrap()), text);
    for (from, to) in [
        ("sha256:06", "sha256:07"),
        ("-hello", "-hell"),
        ("-ref.txt", "-ref.tx"),
    ] {
        assert!(
            !parse(&text.replace(from, to)).unwrap().has_valid_ca(&store),
            "{to}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_safe(text in "\\PC*", line in "(StorePath|URL|Sig|CA|References|NarSize): \\PC*\n") {
        let _ = parse(&text);
        let _ = parse(&format!("{EXAMPLE}{line}"));
    }

    #[test]
    fn what_is_read_prints_to_what_reads_the_same(
        at in 0..EXAMPLE.len(), byte in "[ -~\n]", drop in 0usize..3
    ) {
        let mut text = EXAMPLE.to_owned();
        let end = (at + drop).min(text.len());
        text.replace_range(at..end, &byte);
        if let Ok(mut info) = parse(&text) {
            info.unknown.clear();
            info.malformed_signatures = 0;
            prop_assert_eq!(parse(&print(&info)).unwrap(), info);
        }
    }
}
