//! Real servers of object storage on this machine, each in a folder of its own, ended by their
//! number when the test ends. `tests/setup/stores.sh` installs them.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "only tests use it, each a part of it"
)]

pub mod garage;
pub mod gcs;
pub mod proxy;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nanna_cache::config::model::{Bucket, Storage};

/// Names of the keys that the servers know; long enough for all of them.
pub const ACCESS_KEY: &str = "TESTACCESSKEY";
pub const SECRET_KEY: &str = "planted/secret+of=a-storage";

/// The account of azurite and its key, which everybody knows.
pub const AZURITE: &str = "devstoreaccount1";
pub const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A service account that needs no token: the server is on this machine.
pub const SERVICE_ACCOUNT: &str = r#"{"disable_oauth": true, "client_email": "tests@example.org",
"private_key": "planted-private-key-of-a-service", "private_key_id": "1"}"#;

/// A server under way.
pub struct Server {
    child: Option<Child>,
    pub port: u16,
    pub dir: tempfile::TempDir,
    storage: Storage,
    /// Key and secret of one who may write.
    credentials: (&'static str, &'static str),
    /// Files that it leaves behind outside of its folder.
    leaves: Vec<PathBuf>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for file in &self.leaves {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The folder of the tools; `None`, said loudly: they are not installed.
pub fn tools() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let stores = target.join("tools/stores");
    if stores.join("pins").exists() {
        return Some(stores);
    }
    let why = "no servers for object storage; `bash tests/setup/stores.sh` installs them";
    let required = std::env::var_os("NANNA_REQUIRE_STORES").is_some_and(|value| value == "1");
    assert!(!required, "NANNA_REQUIRE_STORES=1, but: {why}");
    eprintln!("SKIPPED: {why}");
    None
}

/// A free port of which the one 10,000 above is free, too (one server takes both).
pub fn port() -> u16 {
    loop {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes).unwrap();
        let port = 20_000 + u16::from_le_bytes(bytes) % 24_000;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}

/// What an HTTP server answers to a request without a body: status and body.
pub fn ask(port: u16, method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let body = text.split_once("\r\n\r\n")?.1.to_owned();
    Some((status, body))
}

impl Server {
    fn start(
        storage: Storage,
        port: u16,
        dir: tempfile::TempDir,
        command: &mut Command,
        is_up: impl Fn() -> bool,
    ) -> Self {
        Self::try_start(storage, port, dir, command, is_up).unwrap_or_else(|why| panic!("{why}"))
    }

    /// As above; why it ended at once, if it did.
    fn try_start(
        storage: Storage,
        port: u16,
        dir: tempfile::TempDir,
        command: &mut Command,
        is_up: impl Fn() -> bool,
    ) -> Result<Self, String> {
        let out = std::fs::File::create(dir.path().join("out")).unwrap();
        let err = out.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = child.spawn().unwrap();
        let mut server = Self {
            child: Some(child),
            port,
            dir,
            storage,
            credentials: (ACCESS_KEY, SECRET_KEY),
            leaves: Vec::new(),
        };
        let begun = Instant::now();
        while !is_up() {
            let ended = server.child.as_mut().unwrap().try_wait().unwrap();
            if ended.is_some() {
                return Err(format!("the server ended ({ended:?}): {}", server.log()));
            }
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "the server does not come up\n{}",
                server.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Which kind of storage it is.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// Key and secret of one who may write, for S3.
    pub fn credentials(&self) -> (&'static str, &'static str) {
        self.credentials
    }

    /// Our own server of Google Cloud Storage's interface, in this process.
    pub fn gcs() -> Self {
        Self {
            child: None,
            port: gcs::start(),
            dir: tempfile::tempdir().unwrap(),
            storage: Storage::Gcs,
            credentials: (ACCESS_KEY, SECRET_KEY),
            leaves: Vec::new(),
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("out")).unwrap_or_default()
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The bucket `cache`, below a prefix.
    pub fn bucket(&self, prefix: &str) -> Bucket {
        let is_azure = self.storage == Storage::Azure;
        Bucket {
            storage: self.storage,
            name: "cache".into(),
            account: is_azure.then(|| AZURITE.to_owned()),
            prefix: prefix.into(),
            region: (self.storage == Storage::S3).then(|| "us-east-1".into()),
            endpoint: Some(if is_azure {
                format!("{}/{AZURITE}", self.endpoint())
            } else {
                self.endpoint()
            }),
            url: None,
        }
    }

    /// S3 that is right in every respect: anybody may read, our key may write.
    pub fn seaweed() -> Option<Self> {
        let weed = tools()?.join("python/bin/weed");
        // Another process may take a port between our look and its own.
        let tries = (0..5).map(|_| Self::try_seaweed(&weed));
        let mut why = String::new();
        for started in tries {
            match started {
                Ok(server) => return Some(server),
                Err(because) => why = because,
            }
        }
        panic!("{why}");
    }

    fn try_seaweed(weed: &Path) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let keys = serde_json::json!({"identities": [
            {"name": "anonymous", "actions": ["Read:cache", "List:cache"]},
            {"name": "reader", "credentials": [{"accessKey": "READERACCESS", "secretKey": "readersecret"}],
             "actions": ["Read:cache", "List:cache"]},
            {"name": "writer", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
             "actions": ["Admin", "Read", "List", "Tagging", "Write"]},
        ]});
        let config = dir.path().join("s3.json");
        std::fs::write(&config, keys.to_string()).unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let ports: Vec<u16> = (0..6).map(|_| port()).collect();
        let mut command = Command::new(weed);
        command
            .current_dir(dir.path())
            .arg("mini")
            .arg(format!("-dir={}", data.display()))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-bucket=cache"])
            .arg(format!("-s3.config={}", config.display()));
        let names = ["s3", "master", "volume", "filer", "webdav", "admin"];
        for (name, port) in names.iter().zip(&ports) {
            command.arg(format!("-{name}.port={port}"));
        }
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-admin.ui=false"]);
        command.arg(format!("-webdav.cacheDir={}", dir.path().display()));
        for name in ["s3", "filer"] {
            let socket = dir.path().join(format!("{name}.sock"));
            command.arg(format!("-{name}.localSocket={}", socket.display()));
        }
        command.env("TMPDIR", dir.path()); // its logs
        // No option moves these sockets.
        let leaves = names.iter().zip(&ports).map(|(name, port)| {
            let grpc = port + 10_000;
            PathBuf::from(format!("/tmp/seaweedfs-{name}-grpc-{grpc}.sock"))
        });
        let leaves = leaves.collect();
        let port = ports[0];
        let mut server = Self::try_start(Storage::S3, port, dir, &mut command, || {
            ask(port, "GET", "/cache?list-type=2").is_some_and(|(status, _)| status == 200)
        })?;
        server.leaves = leaves;
        Ok(server)
    }

    /// S3 in memory.
    pub fn moto() -> Option<Self> {
        let moto = tools()?.join("python/bin/moto_server");
        let port = port();
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(moto);
        command
            .args(["-H", "127.0.0.1", "-p"])
            .arg(port.to_string());
        let server = Self::start(Storage::S3, port, dir, &mut command, || {
            ask(port, "GET", "/").is_some()
        });
        let made = ask(port, "PUT", "/cache");
        assert!(made.is_some_and(|(status, _)| status == 200));
        Some(server)
    }

    /// S3 that ignores conditions.
    pub fn rclone() -> Option<Self> {
        let rclone = tools()?.join("python/bin/rclone");
        let port = port();
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir_all(data.join("cache")).unwrap();
        let mut command = Command::new(rclone);
        command
            .args(["--config", "/dev/null", "serve", "s3", "--addr"])
            .arg(format!("127.0.0.1:{port}"))
            .arg("--auth-key")
            .arg(format!("{ACCESS_KEY},{SECRET_KEY}"))
            .arg(&data);
        Some(Self::start(Storage::S3, port, dir, &mut command, || {
            ask(port, "GET", "/").is_some()
        }))
    }

    /// Azure.
    pub fn azurite() -> Option<Self> {
        let tools = tools()?;
        let azurite = tools.join("node_modules/.bin/azurite-blob");
        let port = port();
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(azurite);
        command
            .args(["--silent", "--disableTelemetry", "--skipApiVersionCheck"])
            .args(["--blobHost", "127.0.0.1", "--blobPort"])
            .arg(port.to_string())
            .arg("--location")
            .arg(dir.path());
        let server = Self::start(Storage::Azure, port, dir, &mut command, || {
            ask(port, "GET", "/").is_some()
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/container.py");
        let made = Command::new("python3")
            .arg(script)
            .args([&server.endpoint(), AZURITE, AZURITE_KEY, "cache"])
            .status()
            .unwrap();
        assert!(made.success());
        Some(server)
    }
}
