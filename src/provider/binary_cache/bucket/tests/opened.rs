//! What a bucket is opened with: credentials, and the place that is meant.

use super::*;

fn open_as(storage: &Storage, host: &Host) -> Result<BucketStore, StoreError> {
    BucketStore::open_with(&bucket(storage), "x".into(), host, SOON)
}

#[test]
fn a_credential_with_a_line_end_is_used_without_it_and_another_is_refused_by_its_name() {
    let storage = Storage::new();
    storage.put("nix-cache-info", b"x", 0);
    let keys = [
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
    ];
    let ended = keys.map(|(name, value)| (name, format!("{value}\r\n")));
    let store = open_as(&storage, &Host::made_up(ended)).unwrap();
    assert!(store.exists().unwrap());
    for bad in keys.map(|(name, _)| name) {
        let host = keys.map(|(name, value)| {
            let two_lines = format!("{value}\nplanted");
            (
                name,
                if name == bad {
                    two_lines
                } else {
                    value.to_owned()
                },
            )
        });
        let error = open_as(&storage, &Host::made_up(host)).err().unwrap();
        let told = told(&error);
        assert!(told.contains(bad) && !told.contains("planted"), "{told}");
    }
    // The same in a profile, and in the file of a container's token.
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let profile = "[default]\naws_access_key_id = id\naws_secret_access_key = a b\n";
    std::fs::write(home.path().join(".aws/credentials"), profile).unwrap();
    let home_of = home.path().display().to_string();
    let error = open_as(&storage, &Host::made_up([("HOME", home_of.clone())]));
    let error = error.err().unwrap();
    assert!(told(&error).contains("aws_secret_access_key"));
    std::fs::remove_dir_all(home.path().join(".aws")).unwrap();
    std::fs::write(home.path().join("token"), "token\n").unwrap();
    let host = Host::made_up([
        ("HOME", home_of.as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token"),
    ]);
    let error = open_as(&storage, &host).err().unwrap();
    assert!(told(&error).contains("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
}

#[test]
#[should_panic(expected = "planted")]
fn work_that_breaks_off_is_a_failure_of_the_program() {
    let work = async { panic!("planted") };
    let _: Result<(), _> = BucketStore::run("read", "x", work);
}

#[test]
#[should_panic(expected = "planted")]
fn so_it_is_for_one_of_many() {
    let storage = Storage::new();
    let work = || async { panic!("planted") };
    let _: Vec<Result<(), _>> = open(&storage).each("read", [work()]);
}

#[test]
fn another_place_than_cache_yaml_says_is_refused() {
    let storage = Storage::new();
    let open = |bucket: &Bucket, name: &str, value: &str| {
        let host = Host::made_up([("HOME", "/homeless"), (name, value)]);
        let opened = BucketStore::open(bucket, "x".into(), &host);
        opened.err().map(|error| told(&error))
    };
    let plain = Bucket {
        region: None,
        endpoint: None,
        ..bucket(&storage)
    };
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"] {
        let told = open(&plain, name, "http://user:planted@elsewhere").unwrap();
        assert!(told.contains(name) && told.contains("`endpoint`"), "{told}");
        assert!(!told.contains("planted"), "{told}");
        assert_eq!(open(&bucket(&storage), name, "http://elsewhere"), None);
    }
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        let told = open(&plain, name, "eu-central-1").unwrap();
        assert!(told.contains("`region: eu-central-1`"), "{told}");
        // What Nix takes it for.
        assert_eq!(open(&plain, name, "us-east-1"), None);
        assert_eq!(open(&bucket(&storage), name, "eu-central-1"), None);
        // Nix is told another address.
        let read_elsewhere = Bucket {
            url: Some("https://cache.example.org".into()),
            ..plain.clone()
        };
        assert_eq!(open(&read_elsewhere, name, "eu-central-1"), None);
    }
}

#[test]
fn a_service_of_credentials_that_does_not_answer_is_named_soon() {
    let storage = Storage::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("token"), "token").unwrap();
    let uri = format!("http://{}/", silent.local_addr().unwrap());
    let token = home.path().join("token").display().to_string();
    let host = Host::made_up([
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token),
    ]);
    let store = open_as(&storage, &host).unwrap();
    let begun = std::time::Instant::now();
    let error = store.write("a", b"x".to_vec()).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(matches!(error, StoreError::Refused { .. }));
    assert!(
        told(&error).contains("hands out credentials"),
        "{}",
        told(&error)
    );
    assert_eq!(store.requests(), Requests::default());
    assert!(storage.seen("").is_empty());
}
