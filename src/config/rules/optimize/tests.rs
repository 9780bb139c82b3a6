use super::*;

#[test]
fn values_are_written_as_nix_reads_them() {
    let text = |text: &str| RawSetting::Text(text.to_owned());
    let list = |items: &[&str]| RawSetting::List(items.iter().map(ToString::to_string).collect());
    let sandbox = kind_of("sandbox").unwrap();
    assert_eq!(
        written(Kind::Bool, &RawSetting::Bool(true)),
        Ok("true".to_owned())
    );
    assert_eq!(written(Kind::Set, &list(&["a", "b"])), Ok("a b".to_owned()));
    assert_eq!(written(sandbox, &text("relaxed")), Ok("relaxed".to_owned()));
    assert_eq!(
        written(sandbox, &RawSetting::Bool(false)),
        Ok("false".to_owned())
    );
    assert_eq!(
        written(Kind::Integer, &RawSetting::Number(300)),
        Ok("300".to_owned())
    );
    for (kind, value) in [
        (Kind::Bool, text("yes")),
        (sandbox, text("yes")),
        (Kind::Integer, RawSetting::Number(-1)),
        (Kind::Integer, text("1G")),
        (Kind::List, list(&["a b"])),
        (Kind::Text, text("a\nsubstituters = x")),
        (Kind::Text, text("a # b")),
        (Kind::List, text("a\nb")),
        (Kind::Text, list(&["a"])),
        (Kind::Path, text("")),
    ] {
        assert!(written(kind, &value).is_err(), "{value:?}");
    }
}

#[test]
fn what_is_written_nix_takes() {
    let values = [
        RawSetting::Bool(true),
        RawSetting::Number(7),
        RawSetting::Text("auto".into()),
        RawSetting::Text(String::new()),
        RawSetting::Text("/a/b".into()),
        RawSetting::List(vec!["a=b".into(), "c".into()]),
        RawSetting::List(Vec::new()),
    ];
    for info in settings::all() {
        let taken = values
            .iter()
            .filter_map(|value| written(info.kind, value).ok());
        for text in taken {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            assert_eq!(info.kind.check(&words), Ok(()), "{} = {text}", info.name);
        }
    }
}

#[test]
fn other_names_of_a_setting_are_forbidden_too() {
    for name in [
        "substituters",
        "extra-substituters",
        "binary-caches",
        "extra-binary-caches",
        "build-max-jobs",
        "require-sigs",
        "!include",
    ] {
        assert!(forbidden(name).is_some(), "{name}");
    }
    assert!(forbidden("keep-outputs").is_none() && forbidden("extra-platforms").is_none());
    for (name, _) in MANAGED
        .iter()
        .chain(&UNSAFE)
        .filter(|(name, _)| !name.contains("include"))
    {
        assert_eq!(
            settings::find(name).map(|info| info.name),
            Some(*name),
            "the main name"
        );
    }
}

#[test]
fn extra_goes_before_lists_only() {
    assert!(kind_of("extra-system-features").is_some() && kind_of("extra-platforms").is_some());
    assert!(kind_of("extra-keep-outputs").is_none() && kind_of("keep-ouputs").is_none());
}
