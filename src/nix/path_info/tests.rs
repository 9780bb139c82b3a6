//! Every shape of the JSON, and wrong values.

use super::*;

const HELLO: &str = "ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt";
const REF: &str = "gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt";
const SIG: &str =
    "Yp4btLjs+B7lKhyCBAtuvIAVbda2XtnoPlFpjcN7LwGNA8/MyXNiqqYQoOm5f5Pa28VGJsx28t5akdkKNHNQBQ==";

fn parse(json: &Value) -> Result<PathInfos, PathInfoError> {
    PathInfos::parse(&json.to_string(), &StoreDir::default())
}

fn expected() -> PathInfos {
    let nar = Sha256::from_hex("4dca2e2d32592d9e104a8735304faa8d42cd420c4623a0ce68d1c8a4d67bc239");
    let info = PathInfo {
        path: REF.parse().unwrap(),
        nar_hash: nar.unwrap(),
        nar_size: 128,
        references: vec![HELLO.parse().unwrap()],
        deriver: Some(format!("{HELLO}.drv").parse().unwrap()),
        ca: Some(
            "text:sha256:06drik7vx2qm9yy0h63b24phshgmywafni1gx5b6lvxmmlbxz47g"
                .parse()
                .unwrap(),
        ),
        registration_time: Some(7),
        ultimate: true,
        signatures: vec![format!("example-1:{SIG}").parse().unwrap()],
        closure_size: None,
        url: None,
        compression: None,
        file_hash: None,
        file_size: None,
    };
    PathInfos {
        known: vec![info],
        unknown: vec![HELLO.parse().unwrap()],
    }
}

/// The fields as Nix 2.8 and formats 1 have them.
fn full_paths() -> Value {
    serde_json::json!({
        "narHash": "sha256-TcouLTJZLZ4QSoc1ME+qjULNQgxGI6DOaNHIpNZ7wjk=",
        "narSize": 128,
        "references": [format!("/nix/store/{HELLO}")],
        "deriver": format!("/nix/store/{HELLO}.drv"),
        "ca": "text:sha256:06drik7vx2qm9yy0h63b24phshgmywafni1gx5b6lvxmmlbxz47g",
        "registrationTime": 7,
        "ultimate": true,
        "signatures": [format!("example-1:{SIG}")],
    })
}

#[test]
fn all_shapes_read_the_same() {
    let (known, unknown) = (format!("/nix/store/{REF}"), format!("/nix/store/{HELLO}"));
    let mut listed = full_paths();
    listed["path"] = known.clone().into();
    let list = serde_json::json!([listed, {"path": unknown.clone(), "valid": false}]);
    assert_eq!(parse(&list).unwrap(), expected());

    let mut keyed = serde_json::json!({ known: full_paths(), unknown: null });
    assert_eq!(parse(&keyed).unwrap(), expected());
    keyed["version"] = 1.into();
    keyed["storeDir"] = "/nix/store".into();
    assert_eq!(parse(&keyed).unwrap(), expected());

    let mut base = full_paths();
    base["references"] = serde_json::json!([HELLO]);
    base["deriver"] = format!("{HELLO}.drv").into();
    let ca: ContentAddress = full_paths()["ca"].as_str().unwrap().parse().unwrap();
    base["ca"] = serde_json::json!({"hash": ca.hash.to_sri(), "method": "text"});
    let info = serde_json::json!({ REF: base.clone(), HELLO: null });
    let two = serde_json::json!({"version": 2, "storeDir": "/nix/store", "info": info});
    assert_eq!(parse(&two).unwrap(), expected());
    base["signatures"] = serde_json::json!([{"keyName": "example-1", "sig": SIG}]);
    let info = serde_json::json!({ REF: base, HELLO: null });
    let three = serde_json::json!({"version": 3, "storeDir": "/nix/store", "info": info});
    assert_eq!(parse(&three).unwrap(), expected());
}

#[test]
fn absent_and_null_are_the_same() {
    let known = format!("/nix/store/{REF}");
    let hash = full_paths()["narHash"].clone();
    let short = serde_json::json!({ known.clone(): {"narHash": hash, "narSize": 1} });
    let nulls = serde_json::json!({ known: {
        "narHash": hash, "narSize": 1, "references": [], "deriver": null, "ca": null,
        "registrationTime": null, "ultimate": false, "signatures": [], "path": null,
    }});
    assert_eq!(parse(&short).unwrap(), parse(&nulls).unwrap());
}

#[test]
fn wrong_values_are_errors() {
    let known = format!("/nix/store/{REF}");
    let with = |field: &str, value: Value| {
        let mut info = full_paths();
        info[field] = value;
        parse(&serde_json::json!({ known.clone(): info })).unwrap_err()
    };
    assert!(matches!(
        with("narHash", "sha256:x".into()),
        PathInfoError::Hash { .. }
    ));
    assert!(matches!(
        with("narHash", Value::Null),
        PathInfoError::Missing { .. }
    ));
    assert!(matches!(
        with("narSize", (-1).into()),
        PathInfoError::Json(_)
    ));
    assert!(matches!(
        with("references", serde_json::json!(["x"])),
        PathInfoError::Path { .. }
    ));
    assert!(matches!(
        with("ca", "x".into()),
        PathInfoError::ContentAddress { .. }
    ));
    assert!(matches!(
        with("signatures", serde_json::json!(["x"])),
        PathInfoError::Signature { .. }
    ));
    assert!(matches!(
        with("storeDir", "/gnu".into()),
        PathInfoError::StoreDir(_)
    ));
    assert!(matches!(parse(&1.into()), Err(PathInfoError::Shape)));
    let four = serde_json::json!({"version": 4, "info": {}});
    assert!(matches!(parse(&four), Err(PathInfoError::Version(4))));
    assert!(PathInfos::parse("[{", &StoreDir::default()).is_err());
}
