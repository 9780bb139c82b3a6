//! The plain work that `versus-nix` measures against, and the large caches it measures with.
//! Built by the driver with `rustc -O`; needs nothing but the standard library.
//!
//! `floor cache DIR COUNT SEED`: a cache of COUNT paths in closures of 50, half of them expired.
//! `floor read DIR THREADS`: lists DIR and reads every narinfo once.
//! `floor unlink DIR COUNT`: unlinks COUNT narinfos of DIR, and as many NARs, one after another.

use std::fs::{self, File, FileTimes};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
const DAY: u64 = 86_400;
/// Paths of one closure; its top has a root record.
const CLOSURE: u64 = 50;

/// The splitmix generator: the same numbers on every machine, and any of them at once.
fn random(seed: u64, number: u64, which: u64) -> u64 {
    let mut z = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ which.wrapping_mul(0xd1b5_4a32_d192_ed03);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn digits(seed: u64, number: u64, which: u64, len: usize) -> String {
    let pick = |at: usize| {
        let word = random(seed, number, which * 100 + (at / 12) as u64);
        char::from(ALPHABET[(word >> (at % 12 * 5) & 31) as usize])
    };
    (0..len).map(pick).collect()
}

/// 52 digits that are a hash: the first stands for one bit only.
fn sha256(seed: u64, number: u64, which: u64) -> String {
    let mut text = digits(seed, number, which, 52);
    text.replace_range(..1, if number & 1 == 0 { "0" } else { "1" });
    text
}

fn base_name(seed: u64, number: u64) -> String {
    let words = ["rust", "python3.11", "glibc", "gcc-wrapper", "source", "linux-headers"];
    let word = words[(random(seed, number, 8) % 6) as usize];
    format!("{}-{word}-package-{number}-1.2.3", digits(seed, number, 1, 32))
}

fn narinfo(seed: u64, number: u64) -> (String, String) {
    let nar = format!("nar/{}.nar.zst", sha256(seed, number, 2));
    // Up to ten of what came earlier in the same closure, and itself now and then.
    let place = number % CLOSURE;
    let mut names: Vec<String> = (0..10)
        .filter(|_| place > 0)
        .map(|which| number - 1 - random(seed, number, 20 + which) % place)
        .chain((place == CLOSURE - 1).then(|| number - CLOSURE + 1..number).into_iter().flatten())
        .chain((number % 3 == 0).then_some(number))
        .map(|other| base_name(seed, other))
        .collect();
    names.sort_unstable();
    names.dedup();
    let base = base_name(seed, number);
    let hex: String = (0..4).map(|which| format!("{:016x}", random(seed, number, 40 + which))).collect();
    let text = format!(
        "StorePath: /nix/store/{base}\nURL: {nar}\nCompression: zstd\nFileHash: sha256:{}\nFileSize: {}\n\
         NarHash: sha256:{}\nNarSize: {}\nReferences: {}\nDeriver: {}.drv\nSig: cache.example.org-1:{}{}==\n",
        &nar[4..56],
        nar.len(),
        sha256(seed, number, 3),
        1_000 + random(seed, number, 9) % 1_000_000,
        names.join(" "),
        base_name(seed, number + (1 << 40)),
        // 86 digits of base 64; the last may only be one of four.
        &format!("{hex}{hex}")[..85],
        "A",
    );
    (nar, text)
}

fn write(path: &Path, bytes: &[u8], modified: SystemTime) -> Fallible<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.set_times(FileTimes::new().set_modified(modified))?;
    Ok(())
}

fn make_cache(dir: &Path, count: u64, seed: u64) -> Fallible<()> {
    for folder in ["nar", "log", "realisations", "nanna-cache/v1/roots/expired", "nanna-cache/v1/roots/kept"] {
        fs::create_dir_all(dir.join(folder))?;
    }
    fs::write(dir.join("nix-cache-info"), "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n")?;
    let now = SystemTime::now();
    for number in 0..count {
        let age = Duration::from_secs(60 * DAY + random(seed, number / CLOSURE, 7) % (20 * DAY));
        let modified = now - age;
        let (nar, text) = narinfo(seed, number);
        write(&dir.join(&nar), nar.as_bytes(), modified)?;
        let base = base_name(seed, number);
        write(&dir.join(format!("{}.narinfo", &base[..32])), text.as_bytes(), modified)?;
        if number % CLOSURE == CLOSURE - 1 || number + 1 == count {
            let class = if number / CLOSURE % 2 == 0 { "expired" } else { "kept" };
            let body = format!(
                "{{\"schema\":1,\"requires\":[],\"writer\":\"versus-nix\",\"path\":\"{base}\",\
                 \"class\":\"{class}\",\"pushed\":\"2025-01-01T00:00:00Z\"}}\n"
            );
            let key = format!("nanna-cache/v1/roots/{class}/{}.json", &base[..32]);
            write(&dir.join(key), body.as_bytes(), modified)?;
        }
    }
    Ok(())
}

fn narinfos(dir: &Path) -> Fallible<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "narinfo") {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn read_all(dir: &Path, threads: usize) -> Fallible<u64> {
    let paths = narinfos(dir)?;
    let (next, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let work = || -> Fallible<()> {
            let mut buffer = vec![0; 1 << 20];
            while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                let len = File::open(path)?.read(&mut buffer)?;
                bytes.fetch_add(len as u64, Ordering::Relaxed);
            }
            Ok(())
        };
        let tasks: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let first = work();
        tasks.into_iter().try_for_each(|task| task.join().map_err(|_| "a thread died")?)?;
        first
    })?;
    Ok(bytes.into_inner())
}

fn unlink(dir: &Path, count: usize) -> Fallible<u64> {
    let mut paths = narinfos(dir)?;
    paths.truncate(count);
    for entry in fs::read_dir(dir.join("nar"))?.take(count) {
        paths.push(entry?.path());
    }
    for path in &paths {
        fs::remove_file(path)?;
    }
    Ok(paths.len() as u64)
}

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["cache", dir, count, seed] => make_cache(Path::new(dir), count.parse()?, seed.parse()?).map(|()| 0)?,
        ["read", dir, threads] => read_all(Path::new(dir), threads.parse()?)?,
        ["unlink", dir, count] => unlink(Path::new(dir), count.parse()?)?,
        _ => return Err("usage: floor cache DIR COUNT SEED | read DIR THREADS | unlink DIR COUNT".into()),
    };
    println!("{done}");
    Ok(())
}
