use super::*;

#[test]
fn folders_follow_xdg_unless_relative() {
    let host = Host::made_up([
        ("HOME", "/h"),
        ("XDG_CACHE_HOME", "/c"),
        ("XDG_STATE_HOME", "x"),
    ]);
    assert_eq!(host.cache_folder(), "/c/nanna-cache");
    assert_eq!(host.state_folder(), "/h/.local/state/nanna-cache");
    assert_eq!(host.config_folder(), "/h/.config/nanna-cache");
}

#[test]
fn ci_and_github_are_told_apart() {
    assert!(!Host::made_up([("CI", "false")]).ci());
    assert!(Host::made_up([("CI", "1")]).ci());
    let host = Host::made_up([
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_RUN_ID", "7"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("GITHUB_ENV", "/e"),
    ]);
    let github = host.github().unwrap();
    assert_eq!(github.run.as_deref(), Some("7-2"));
    assert_eq!(github.environment_file.unwrap(), "/e");
    assert_eq!(Host::made_up([("GITHUB_ENV", "/e")]).github(), None);
}

#[test]
fn reads_the_user_tables() {
    let passwd = "broken\nroot:x:0:0:root:/root:/bin/sh\nada:x:7:8::/home/ada:/bin/sh\n";
    assert_eq!(
        account(passwd, 7),
        Some(("ada".to_owned(), "/home/ada".into()))
    );
    assert_eq!(account(passwd, 9), None);
    assert_eq!(group_names("a:x:1:\nb:x:2:\nb:x:2:\n", &[2, 3]), ["b"]);
}

#[test]
fn debug_shows_no_value() {
    let host = Host::made_up([("TOKEN", "hush-hush")]);
    assert!(!format!("{host:?}").contains("hush"));
}

#[test]
fn captures_this_process() {
    let host = Host::capture().unwrap();
    assert!(host.now() > 1_700_000_000);
    assert!(host.program("sh").is_some());
    assert!(host.program("no-such-program-here").is_none());
    assert!(host.system.contains('-'));
    assert!(!host.hostname.is_empty());
}
