use super::*;
use crate::nix::nar::Writer;

fn said(bytes: &[u8]) -> String {
    match understand(bytes) {
        Ok(body) => body.project,
        Err(Fault::Unread(why)) => format!("unread: {why}"),
        Err(Fault::Newer(why)) => format!("newer: {why}"),
    }
}

#[test]
fn a_record_is_understood_unless_it_is_newer_or_none() {
    let with = |rest: &str| {
        let text = format!(
            "{{\"writer\":\"x\",\"project\":\"demo\",\"written\":\"2027-01-15T08:00:00Z\",{rest}}}"
        );
        said(text.as_bytes())
    };
    assert_eq!(with("\"schema\":1"), "demo");
    assert_eq!(with("\"schema\":2"), "newer: schema 2");
    let requires = "\"schema\":1,\"requires\":[\"x\\u001b\"]";
    assert_eq!(with(requires), "newer: it requires `x\\u{1b}`");
    // A newer one may have another body.
    assert_eq!(said(b"{\"schema\":7,\"writer\":\"x\"}"), "newer: schema 7");
    assert!(said(b"{\"schema\":1,\"writer\":\"x\"}").starts_with("unread: it is malformed"));
    for strange in [
        "",
        "[]",
        "null",
        "{}",
        "{\"schema\":-1,\"writer\":\"x\"}",
        "\u{0}\u{1}",
    ] {
        assert!(said(strange.as_bytes()).starts_with("unread"), "{strange}");
    }
}

#[test]
fn only_one_whole_file_is_taken_out_of_a_nar() {
    let file = |bytes: &[u8]| {
        let mut nar = Writer::new(Vec::new());
        nar.regular(false, bytes.len() as u64).unwrap();
        nar.content(bytes).unwrap();
        nar.finish().unwrap()
    };
    assert_eq!(single_file(&file(b"{}")).unwrap(), b"{}");
    assert_eq!(single_file(&file(b"")).unwrap(), b"");
    let mut link = Writer::new(Vec::new());
    link.symlink(b"/etc/passwd").unwrap();
    assert_eq!(single_file(&link.finish().unwrap()), None);
    let whole = file(b"0123456789");
    for cut in 0..whole.len() - 40 {
        assert_eq!(single_file(&whole[..cut]), None, "{cut}");
    }
    // What is announced is not believed.
    let mut much = file(b"01234567");
    let at = much.windows(8).position(|it| it == 8_u64.to_le_bytes());
    let last = much.windows(8).rposition(|it| it == 8_u64.to_le_bytes());
    assert!(at.is_some());
    let last = last.unwrap();
    much[last..last + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(single_file(&much), None);
}
