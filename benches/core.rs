//! The inner loops: NARs and hashing, narinfos, the reference graph, the question what is live,
//! looking at a cache with and without the index.
//!
//! `cargo bench` prints times of this machine; compare two commits on one machine, never two
//! machines. Whole processes are another matter: `benches/versus-nix` times those.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nanna_cache::config;
use nanna_cache::config::model::{ClassName, Foreign};
use nanna_cache::config::units::Span;
use nanna_cache::nix::closure::Graph;
use nanna_cache::nix::hash::{Hasher, Sha256};
use nanna_cache::nix::nar::Writer;
use nanna_cache::nix::narinfo::{Brief, NarInfo};
use nanna_cache::nix::store_path::{HashPart, StoreDir};
use nanna_cache::plan::class::Classifier;
use nanna_cache::plan::need::{Rules, need};
use nanna_cache::plan::observed::{CacheContent, Nar, Narinfo};
use nanna_cache::plan::paths::Paths;
use nanna_cache::plan::record::Root;
use nanna_cache::plan::time::Time;
use nanna_cache::provider::binary_cache::folder::FolderStore;
use nanna_cache::provider::binary_cache::observe::{Look, observe};
use nanna_cache::transfer::progress::Progress;

const MIB: usize = 1 << 20;

fn hash(number: u32) -> HashPart {
    let digest = Sha256::of(&number.to_le_bytes());
    HashPart::from_bytes(digest.0[..20].try_into().expect("20 of 32 bytes"))
}

/// A narinfo with ten references, as Nix writes it.
fn narinfo(number: u32) -> String {
    let references: Vec<String> = (number + 1..=number + 10)
        .map(|number| format!("{}-package-1.2.3", hash(number)))
        .collect();
    let content = Sha256::of(&number.to_le_bytes());
    format!(
        "StorePath: /nix/store/{}-package-1.2.3\nURL: nar/{}.nar.zst\nCompression: zstd\nFileHash: {content}\n\
         FileSize: 1234\nNarHash: {content}\nNarSize: 5678\nReferences: {}\n\
         Sig: example-1:Yp4btLjs+B7lKhyCBAtuvIAVbda2XtnoPlFpjcN7LwGNA8/MyXNiqqYQoOm5f5Pa28VGJsx28t5akdkKNHNQBQ==\n",
        hash(number),
        content.to_nix32(),
        references.join(" "),
    )
}

fn narinfos(criterion: &mut Criterion) {
    let (text, dir) = (narinfo(0), StoreDir::default());
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
    group.bench_function("hash", |bencher| {
        bencher.iter(|| Sha256::of(black_box(&content)));
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

/// A hundred thousand paths in closures of fifty, every second of which has ended.
fn content() -> CacheContent {
    const ROWS: u32 = 100_000;
    let mut order: Vec<(HashPart, u32)> = (0..ROWS).map(|number| (hash(number), number)).collect();
    order.sort_unstable();
    let mut rows = vec![0; ROWS as usize];
    let mut paths = Paths::builder(ROWS as usize);
    for (hash, number) in &order {
        rows[*number as usize] = paths.push(*hash, "package-1.2.3", 1_000);
    }
    let lists = order.iter().map(|(_, number)| {
        let within = number - number % 50..*number;
        let rows = &rows;
        within.rev().take(10).map(move |to| rows[to as usize])
    });
    let graph = Graph::from_lists(lists).expect("references are rows");
    let tops = (0..ROWS / 50).map(|top| (hash(top * 50 + 49), top));
    CacheContent {
        paths: std::sync::Arc::new(paths.index().with_refs(graph)),
        narinfos: (0..ROWS)
            .map(|nar| Narinfo::new(Some(nar), Time(0)))
            .collect(),
        nars: order
            .iter()
            .map(|(hash, _)| Nar {
                key: format!("nar/{hash}.nar"),
                size: 1_000,
                modified: Time(0),
            })
            .collect(),
        roots: tops
            .map(|(hash, top)| Root {
                class: ClassName::new("all"),
                hash,
                modified: Time(i64::from(top % 2) * 1_000_000_000),
                path: None,
                attr: None,
            })
            .collect(),
        now: Time(1_000_000_000),
        ..CacheContent::default()
    }
}

fn needs(criterion: &mut Criterion) {
    let file = "version: 1\nproject: bench\ncaches:\n  it: { type: file, path: /it }\n\
                artifacts:\n  all: { retention: 30d, default: true }\n";
    let Ok((config, _)) = config::read("cache.yaml", file.as_bytes()) else {
        panic!("the configuration is valid");
    };
    let classifier = Classifier::new(&config);
    let content = content();
    let rules = |max_size| Rules {
        classifier: &classifier,
        grace: Span(86_400),
        foreign: Foreign::Keep,
        max_size,
        incoming: 0,
        renewed: BTreeSet::new(),
        relied_on: &[],
        pins: Vec::new(),
    };
    assert_eq!(need(&content, &rules(None)).live.len(), 50_000);
    let mut group = criterion.benchmark_group("need");
    group.throughput(Throughput::Elements(content.paths.len() as u64));
    group.bench_function("retention", |bencher| {
        bencher.iter(|| need(black_box(&content), &rules(None)).live.len());
    });
    group.bench_function("max-size", |bencher| {
        bencher.iter(|| {
            need(black_box(&content), &rules(Some(10_000_000)))
                .live
                .len()
        });
    });
    group.finish();
}

fn looks(criterion: &mut Criterion) {
    const COUNT: u32 = 2_000;
    let folder = tempfile::tempdir().expect("a folder for a cache");
    let cache = folder.path().join("cache");
    let index = folder.path().join("index");
    std::fs::create_dir_all(cache.join("nar")).expect("folders");
    for number in 0..COUNT {
        let name = format!("{}.narinfo", hash(number));
        std::fs::write(cache.join(name), narinfo(number)).expect("a narinfo");
    }
    let dir = StoreDir::default();
    let look = |index: Option<&Path>, thorough| {
        let store = FolderStore::new(&cache);
        let look = Look {
            index,
            thorough,
            ..Look::new(&dir)
        };
        let seen = observe(&store, &look, &Progress::default());
        assert_eq!(seen.present().map(|seen| seen.paths.len()), Some(2_000));
    };
    // A folder that changed just now is not believed to be unchanged.
    std::thread::sleep(std::time::Duration::from_secs(4));
    look(Some(&index), true);
    let mut group = criterion.benchmark_group("look");
    group.throughput(Throughput::Elements(u64::from(COUNT)));
    group.bench_function("reading everything", |bencher| {
        bencher.iter(|| look(None, false));
    });
    group.bench_function("asking for revisions", |bencher| {
        bencher.iter(|| look(Some(&index), true));
    });
    group.bench_function("nothing changed", |bencher| {
        bencher.iter(|| look(Some(&index), false));
    });
    group.finish();
}

criterion_group!(benches, narinfos, nars, graphs, needs, looks);
criterion_main!(benches);
