//! The known vector, every rule, and random trees there and back.

use std::collections::BTreeMap;

use super::*;
use crate::nix::hash::Sha256;
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Regular(bool, Vec<u8>),
    Symlink(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Tree>),
}

fn write(tree: &Tree, writer: &mut Writer<Vec<u8>>) {
    match tree {
        Tree::Regular(executable, content) => {
            writer.regular(*executable, content.len() as u64).unwrap();
            for piece in content.chunks(5) {
                writer.content(piece).unwrap();
            }
        }
        Tree::Symlink(target) => writer.symlink(target).unwrap(),
        Tree::Directory(entries) => {
            writer.directory().unwrap();
            for (name, node) in entries {
                writer.entry(name).unwrap();
                write(node, writer);
            }
            writer.end().unwrap();
        }
    }
}

fn nar(tree: &Tree) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    write(tree, &mut writer);
    let len = writer.position();
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes.len() as u64, len);
    bytes
}

fn read(reader: &mut Reader<&[u8]>) -> Result<Tree, NarError> {
    Ok(match reader.next_event()?.expect("a node") {
        Event::Regular { executable, size } => {
            let mut content = Vec::new();
            let mut buffer = [0; 7];
            loop {
                match reader.content(&mut buffer)? {
                    0 => break,
                    len => content.extend(&buffer[..len]),
                }
            }
            assert_eq!(content.len() as u64, size);
            Tree::Regular(executable, content)
        }
        Event::Symlink { target } => Tree::Symlink(target),
        Event::Directory => {
            let mut entries = BTreeMap::new();
            while let Some(Event::Entry { name }) = reader.next_event()? {
                entries.insert(name, read(reader)?);
            }
            Tree::Directory(entries)
        }
        other => panic!("{other:?} is no node"),
    })
}

fn read_all(bytes: &[u8]) -> Result<Tree, NarError> {
    let mut reader = Reader::new(bytes);
    let tree = read(&mut reader)?;
    assert_eq!(reader.finish()?, bytes.len() as u64);
    Ok(tree)
}

/// Reads without looking at content.
fn verify(bytes: &[u8]) -> Result<u64, NarError> {
    Reader::new(bytes).finish()
}

fn size(tree: &Tree) -> u64 {
    match tree {
        Tree::Regular(executable, content) => size_of_regular(content.len() as u64, *executable),
        Tree::Symlink(target) => size_of_symlink(target.len() as u64),
        Tree::Directory(entries) => entries.iter().fold(SIZE_OF_DIRECTORY, |sum, (name, node)| {
            sum + size_of_entry(name.len() as u64, size(node))
        }),
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let leaf = prop_oneof![
        (any::<bool>(), bytes())
            .prop_map(|(executable, content)| Tree::Regular(executable, content)),
        "[a-z/.]{1,20}".prop_map(|target| Tree::Symlink(target.into_bytes())),
    ];
    leaf.prop_recursive(4, 30, 5, |node| {
        let name = "[A-Za-z._~ -]{1,9}|[äöü]{1,3}"
            .prop_filter("dots lead elsewhere", |name| name != "." && name != "..")
            .prop_map(String::into_bytes);
        proptest::collection::btree_map(name, node, 0..5).prop_map(Tree::Directory)
    })
}

fn file(content: &[u8]) -> Tree {
    Tree::Regular(false, content.to_vec())
}

#[test]
fn writes_the_known_vectors() {
    let bytes = nar(&file(b"hi"));
    assert_eq!(bytes.len(), 120);
    let hash = "2252d4b78c94e8c7ace4e3317b78bdfe64bc8e3970a64eb6d2f7c2a443c0c3fc";
    assert_eq!(Sha256::of(&bytes).to_hex(), hash);
    let bytes = nar(&file(b"Hello Nix cache\n"));
    assert_eq!(bytes.len(), 128);
    let hash = "0ff2ggba9j6id37a08s61i1cshldm97k0dc79889wbar68njxjjd";
    assert_eq!(Sha256::of(&bytes).to_nix32(), hash);
    let target = b"/nix/store/ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt".to_vec();
    let entries = [
        (b"a".to_vec(), Tree::Symlink(target)),
        (
            b"run".to_vec(),
            Tree::Regular(true, b"#!/bin/sh\n".to_vec()),
        ),
    ];
    let bytes = nar(&Tree::Directory(entries.into()));
    assert_eq!(bytes.len(), 568);
    let hash = "0wj0c1sq5fv4z0wv62hb72wdz4x4aq4bw3cl8pzyc9nnhrw32f7s";
    assert_eq!(Sha256::of(&bytes).to_nix32(), hash);
}

#[test]
fn the_writer_refuses_wrong_calls() {
    let fresh = || Writer::new(Vec::new());
    let mut writer = fresh();
    writer.regular(false, 3).unwrap();
    assert!(matches!(
        writer.content(b"abcd"),
        Err(NarError::Size {
            announced: 3,
            given: 4
        })
    ));
    assert!(writer.finish().is_err(), "what failed is never complete");
    let mut writer = fresh();
    writer.regular(false, 3).unwrap();
    writer.content(b"ab").unwrap();
    assert!(matches!(
        writer.finish(),
        Err(NarError::Size {
            announced: 3,
            given: 2
        })
    ));
    let mut writer = fresh();
    writer.regular(false, 3).unwrap();
    assert!(matches!(
        writer.end(),
        Err(NarError::Size {
            announced: 3,
            given: 0
        })
    ));
    assert!(matches!(fresh().entry(b"a"), Err(NarError::Misuse(_))));
    assert!(matches!(fresh().end(), Err(NarError::Misuse(_))));
    assert!(matches!(fresh().finish(), Err(NarError::Misuse(_))));
    assert!(matches!(fresh().content(b"x"), Err(NarError::Misuse(_))));
    let mut writer = fresh();
    writer.symlink(b"x").unwrap();
    assert!(matches!(writer.symlink(b"x"), Err(NarError::Misuse(_))));
    let mut writer = fresh();
    writer.directory().unwrap();
    assert!(matches!(writer.directory(), Err(NarError::Misuse(_))));
    for (first, second) in [("b", "a"), ("a", "a"), ("a", "B")] {
        let mut writer = fresh();
        writer.directory().unwrap();
        writer.entry(first.as_bytes()).unwrap();
        writer.regular(false, 0).unwrap();
        assert!(matches!(
            writer.entry(second.as_bytes()),
            Err(NarError::Unsorted { .. })
        ));
    }
    for name in ["", ".", "..", "a/b", "a\0", &"x".repeat(256)] {
        let mut writer = fresh();
        writer.directory().unwrap();
        assert!(
            matches!(writer.entry(name.as_bytes()), Err(NarError::Name(_))),
            "{name:?}"
        );
    }
    for target in ["", "a\0", &"x".repeat(4096)] {
        assert!(matches!(
            fresh().symlink(target.as_bytes()),
            Err(NarError::Target { .. })
        ));
    }
}

/// A NAR of `depth` directories, each in the one before.
fn nested(depth: usize) -> Vec<u8> {
    let strings = |words: &[&str]| {
        let mut bytes = Vec::new();
        for word in words {
            bytes.extend((word.len() as u64).to_le_bytes());
            bytes.extend(word.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    };
    let mut bytes = strings(&["nix-archive-1"]);
    for _ in 1..depth {
        bytes.extend(strings(&[
            "(",
            "type",
            "directory",
            "entry",
            "(",
            "name",
            "a",
            "node",
        ]));
    }
    bytes.extend(strings(&["(", "type", "directory", ")"]));
    for _ in 1..depth {
        bytes.extend(strings(&[")", ")"]));
    }
    bytes
}

#[test]
fn both_sides_hold_the_limit_of_depth() {
    assert!(verify(&nested(MAX_DEPTH)).is_ok());
    assert!(matches!(
        verify(&nested(MAX_DEPTH + 1)),
        Err(NarError::Depth)
    ));
    let mut writer = Writer::new(Vec::new());
    for _ in 1..MAX_DEPTH {
        writer.directory().unwrap();
        writer.entry(b"a").unwrap();
    }
    writer.directory().unwrap();
    writer.entry(b"a").unwrap();
    assert!(matches!(writer.directory(), Err(NarError::Depth)));
}

#[test]
fn the_reader_refuses_wrong_bytes() {
    let good = nar(&Tree::Directory(
        [
            (b"aa".to_vec(), file(b"x")),
            (b"bb".to_vec(), Tree::Symlink(b"q".to_vec())),
        ]
        .into(),
    ));
    let with = |from: &[u8], to: &[u8]| {
        let at = good
            .windows(from.len())
            .position(|window| window == from)
            .expect("it occurs");
        let mut bytes = good.clone();
        bytes[at..at + from.len()].copy_from_slice(to);
        verify(&bytes).expect_err("refused")
    };
    assert!(matches!(with(b"aa", b"cc"), NarError::Unsorted { .. }));
    assert!(matches!(with(b"aa", b"bb"), NarError::Unsorted { .. }));
    assert!(matches!(with(b"aa", b".."), NarError::Name(_)));
    assert!(matches!(with(b"aa", b"a/"), NarError::Name(_)));
    assert!(matches!(with(b"aa", b"a\0"), NarError::Name(_)));
    assert!(matches!(with(b"aa\0", b"aa\x01"), NarError::Padding { .. }));
    assert!(matches!(with(b"x\0", b"x\x01"), NarError::Padding { .. }));
    assert!(matches!(with(b"q\0", b"\0\0"), NarError::Target { .. }));
    assert!(matches!(
        with(b"nix-archive-1", b"nix-archive-2"),
        NarError::Token { at: 0, .. }
    ));
    assert!(matches!(
        with(b"symlink", b"simlink"),
        NarError::Token { .. }
    ));
    assert!(matches!(with(b"entry", b"entra"), NarError::Token { .. }));
    assert!(matches!(
        with(b"contents", b"content!"),
        NarError::Token { .. }
    ));
    for cut in 0..good.len() {
        assert!(
            matches!(verify(&good[..cut]), Err(NarError::Truncated { .. })),
            "{cut}"
        );
    }
    let longer = [good.as_slice(), b"x"].concat();
    assert!(matches!(verify(&longer), Err(NarError::Trailing { .. })));
}

#[test]
fn a_huge_length_costs_no_memory() {
    let mut bytes = nar(&Tree::Symlink(b"target".to_vec()));
    let at = bytes.len() - 16 - 8 - 8;
    bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(
        verify(&bytes),
        Err(NarError::Target { len: u64::MAX })
    ));
    let mut bytes = nar(&file(b"x"));
    let at = bytes.len() - 16 - 8 - 8;
    bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(verify(&bytes), Err(NarError::Truncated { .. })));
}

#[test]
fn nothing_comes_after_an_error() {
    let mut reader = Reader::new(&b"rubbish!"[..]);
    assert!(reader.next_event().is_err());
    assert!(matches!(reader.next_event(), Err(NarError::Misuse(_))));
    assert_eq!(reader.content(&mut [0; 4]).unwrap(), 0);
}

proptest! {
    #[test]
    fn trees_go_there_and_back(tree in trees()) {
        let bytes = nar(&tree);
        prop_assert_eq!(bytes.len() as u64, size_of_nar(size(&tree)));
        prop_assert_eq!(verify(&bytes).unwrap(), bytes.len() as u64);
        prop_assert_eq!(read_all(&bytes).unwrap(), tree);
    }

    #[test]
    fn what_reads_writes_back(tree in trees(), at: prop::sample::Index, byte: u8) {
        let mut bytes = nar(&tree);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(tree) = read_all(&bytes) {
            prop_assert_eq!(nar(&tree), bytes);
        }
    }

    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verify(&bytes).is_err());
    }
}
