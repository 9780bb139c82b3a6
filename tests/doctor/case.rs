//! A set-up with nothing wrong: a real Nix, and a server that has one path.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nanna_cache::nix::hash::Sha256;
use nanna_cache::nix::key::SecretKey;
use nanna_cache::nix::narinfo::NarInfo;
use nanna_cache::nix::store_path::StoreDir;

use crate::support::bed::TestBed;
use crate::support::real_nix::RealNix;

/// What the server gives for a name: status and body.
type Objects = BTreeMap<String, (u16, Vec<u8>)>;

/// The server's moods.
#[derive(Default)]
pub(crate) struct Served {
    pub(crate) objects: Objects,
    pub(crate) wait: Duration,
    pub(crate) date: Option<&'static str>,
    /// The value of `Authorization` that it wants.
    pub(crate) wants: Option<String>,
}

pub(crate) struct Case {
    pub(crate) bed: TestBed,
    /// The store path that is asked about.
    pub(crate) path: String,
    pub(crate) url: String,
    pub(crate) served: Arc<Mutex<Served>>,
    pub(crate) key: SecretKey,
    /// Kept, for its store goes with it.
    _nix: RealNix,
    pub(crate) child: Option<std::process::Child>,
}

pub(crate) const HASH: &str = "00000000000000000000000000000000";
pub(crate) const NAR: &[u8] = b"not looked into";

impl Drop for Case {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Case {
    pub(crate) fn new() -> Option<Self> {
        let nix = RealNix::old()?;
        let mut bed = TestBed::new();
        nix.equip(&mut bed);
        let served = Arc::new(Mutex::new(Served::default()));
        let url = serve(Arc::clone(&served));
        let case = Self {
            bed,
            path: format!("/nix/store/{HASH}-tool"),
            url,
            served,
            key: SecretKey::generate("cache.example-1", [7; 32]).unwrap(),
            _nix: nix,
            child: None,
        };
        case.put(
            "nix-cache-info",
            "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n",
        );
        case.put("nar/x.nar", NAR);
        case.narinfo("", Some(&case.key));
        let line = format!(
            "substituters = {}\ntrusted-public-keys = {}\n",
            case.url,
            case.key.public()
        );
        case.machine(&line);
        Some(case)
    }

    /// Serves an object.
    pub(crate) fn put(&self, name: &str, body: impl AsRef<[u8]>) {
        self.answer(name, 200, body);
    }

    pub(crate) fn answer(&self, name: &str, status: u16, body: impl AsRef<[u8]>) {
        let mut served = self.served.lock().unwrap();
        served
            .objects
            .insert(name.to_owned(), (status, body.as_ref().to_vec()));
    }

    /// The narinfo of the path.
    pub(crate) fn narinfo(&self, references: &str, key: Option<&SecretKey>) {
        let dir = StoreDir::default();
        let (hash, size) = (Sha256::of(NAR).to_nix32(), NAR.len());
        let text = format!(
            "StorePath: {}\nURL: nar/x.nar\nCompression: none\nFileHash: sha256:{hash}\nFileSize: {size}\n\
             NarHash: sha256:{hash}\nNarSize: {size}\nReferences: {references}\n",
            self.path
        );
        let mut info = NarInfo::parse(&text, &dir).unwrap();
        if let Some(key) = key {
            assert!(info.sign(key, &dir));
        }
        self.put(&format!("{HASH}.narinfo"), info.display(&dir).to_string());
    }

    pub(crate) fn machine_file(&self) -> PathBuf {
        self.bed.root().join("etc/nix/nix.conf")
    }

    /// Adds lines to the machine's nix.conf.
    pub(crate) fn machine(&self, lines: &str) {
        let file = self.machine_file();
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, format!("{}\n{lines}\n", before.trim_end())).unwrap();
    }

    /// The user's nix.conf.
    pub(crate) fn user(&self, lines: &str) {
        let folder = self.bed.home().join(".config/nix");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("nix.conf"), lines).unwrap();
    }

    /// Takes the cache out of the machine's nix.conf.
    pub(crate) fn forget(&self) {
        let text = std::fs::read_to_string(self.machine_file()).unwrap();
        let kept: Vec<&str> = text
            .lines()
            .filter(|line| {
                !line.starts_with("substituters = h") && !line.starts_with("trusted-public")
            })
            .collect();
        std::fs::write(self.machine_file(), kept.join("\n") + "\n").unwrap();
    }

    /// Plants what Nix remembers.
    pub(crate) fn remember(&self, present: bool, priority: i64) {
        // The test's own Nix is told to remember nothing.
        self.user("narinfo-cache-negative-ttl = 3600\nnarinfo-cache-positive-ttl = 2592000\n");
        let folder = self.bed.home().join(".cache/nix");
        std::fs::create_dir_all(&folder).unwrap();
        let memory = rusqlite::Connection::open(folder.join("binary-cache-v6.sqlite")).unwrap();
        memory
            .execute_batch(&format!(
                "create table BinaryCaches (id integer primary key autoincrement not null, url text unique not null, \
                 timestamp integer not null, storeDir text not null, wantMassQuery integer not null, priority integer not null);
                 create table NARs (cache integer not null, hashPart text not null, namePart text, url text, \
                 compression text, fileHash text, fileSize integer, narHash text, narSize integer, refs text, \
                 deriver text, sigs text, ca text, timestamp integer not null, present integer not null, \
                 primary key (cache, hashPart));
                 insert into BinaryCaches values (1, '{}', strftime('%s', 'now'), '/nix/store', 1, {priority});
                 insert into NARs (cache, hashPart, timestamp, present) values (1, '{HASH}', strftime('%s', 'now'), {});",
                self.url,
                u8::from(present)
            ))
            .unwrap();
    }

    /// The codes that doctor names, in its order.
    pub(crate) fn codes(&self) -> Vec<String> {
        let said = self
            .bed
            .run(["doctor", "--deep", "--format", "json", &self.path]);
        let json = said.json();
        let code = if json["healthy"] == true { 0 } else { 7 };
        let findings = said.fails(code).json()["findings"]
            .as_array()
            .unwrap()
            .clone();
        let codes = findings
            .iter()
            .map(|it| it["code"].as_str().unwrap().to_owned());
        // A busy machine is slow, too: that a cache is slow counts where it was made so.
        let is_made_slow = self.served.lock().unwrap().wait >= Duration::from_secs(1);
        codes
            .filter(|code| is_made_slow || code != "cache-slow")
            .collect()
    }
}

fn serve(served: Arc<Mutex<Served>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let served = Arc::clone(&served);
            // A client that goes away in the middle is none of the test's business.
            std::thread::spawn(move || drop(answer(&stream, &served)));
        }
    });
    format!("http://127.0.0.1:{port}")
}

fn answer(mut stream: &TcpStream, served: &Mutex<Served>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let mut login = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            login = Some(value.to_owned());
        }
    }
    let name = request
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .trim_start_matches('/')
        .to_owned();
    let (wait, date, (status, body)) = {
        let served = served.lock().unwrap();
        let object = if served.wants.is_some() && served.wants != login {
            (401, Vec::new())
        } else {
            served
                .objects
                .get(&name)
                .cloned()
                .unwrap_or((404, Vec::new()))
        };
        (served.wait, served.date, object)
    };
    std::thread::sleep(wait);
    let date = date.map_or_else(String::new, |date| format!("Date: {date}\r\n"));
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{date}Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if !request.starts_with("HEAD") {
        stream.write_all(&body)?;
    }
    Ok(())
}
