//! The inner loops: NARs and hashing, narinfos, the reference graph, the question what is live.
//!
//! `cargo bench` prints times of this machine; compare two commits on one machine, never two
//! machines. Whole processes are another matter: time those from outside.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nanna_cache::nix::closure::Graph;
use nanna_cache::nix::hash::{Hasher, Sha256};
use nanna_cache::nix::nar::Writer;
use nanna_cache::nix::narinfo::{Brief, NarInfo};
use nanna_cache::nix::store_path::{HashPart, StoreDir};

const MIB: usize = 1 << 20;

/// A narinfo with ten references, as Nix writes it.
fn narinfo() -> String {
    let hash = |number: u32| {
        let digest = Sha256::of(&number.to_le_bytes());
        HashPart::from_bytes(digest.0[..20].try_into().expect("20 of 32 bytes"))
    };
    let references: Vec<String> = (1..=10)
        .map(|number| format!("{}-reference-{number}-1.0", hash(number)))
        .collect();
    let content = Sha256::of(b"content");
    format!(
        "StorePath: /nix/store/{}-package-1.2.3\nURL: nar/{}.nar.zst\nCompression: zstd\nFileHash: {content}\n\
         FileSize: 1234\nNarHash: {content}\nNarSize: 5678\nReferences: {}\n\
         Sig: example-1:Yp4btLjs+B7lKhyCBAtuvIAVbda2XtnoPlFpjcN7LwGNA8/MyXNiqqYQoOm5f5Pa28VGJsx28t5akdkKNHNQBQ==\n",
        hash(0),
        content.to_nix32(),
        references.join(" "),
    )
}

fn narinfos(criterion: &mut Criterion) {
    let (text, dir) = (narinfo(), StoreDir::default());
    let mut group = criterion.benchmark_group("narinfo");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("brief", |bencher| {
        bencher.iter(|| Brief::parse(black_box(&text), &dir).is_ok());
    });
    group.bench_function("whole", |bencher| {
        bencher.iter(|| NarInfo::parse(black_box(&text), &dir).is_ok());
    });
    group.finish();
}

fn nars(criterion: &mut Criterion) {
    let content = vec![7_u8; 8 * MIB];
    let mut group = criterion.benchmark_group("nar");
    group.throughput(Throughput::Bytes(content.len() as u64));
    group.bench_function("write and hash", |bencher| {
        bencher.iter(|| {
            let mut writer = Writer::new(Hasher::new());
            writer
                .regular(false, content.len() as u64)
                .expect("the root");
            writer.content(black_box(&content)).expect("its content");
            writer.finish().map(Hasher::finish).is_ok()
        });
    });
    group.finish();
}

fn graphs(criterion: &mut Criterion) {
    const ROWS: u32 = 100_000;
    let lists = (0..ROWS).map(|row| (1..=10).filter_map(move |step| row.checked_sub(step * 37)));
    let graph = Graph::from_lists(lists).expect("references are rows");
    let mut group = criterion.benchmark_group("graph");
    group.throughput(Throughput::Elements(u64::from(ROWS)));
    group.bench_function("reach", |bencher| {
        bencher.iter(|| graph.reach(black_box([ROWS - 1])).len());
    });
    group.bench_function("reversed", |bencher| {
        bencher.iter(|| graph.reversed().edges());
    });
    group.finish();
}

criterion_group!(benches, narinfos, nars, graphs);
criterion_main!(benches);
