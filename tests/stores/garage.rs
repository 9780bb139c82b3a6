//! A cluster of three nodes of Garage on this machine: object storage on more than one machine, in small.
//!
//! `NANNA_GARAGE` names the program (CONTRIBUTING says how to build it: ten minutes, so it is asked for, not
//! usual). Whatever one node takes, all have; conditions are ignored, with success.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nanna_cache::config::model::Storage;

use super::{Server, port};

/// A key in the form that Garage wants, and its secret.
const KEY: (&str, &str) = (
    "GK31c2f218a2e44f485b94239e",
    "b892c0665f0ada8a4755dae98baa3b133590e11dae3bcc1f9d769d67f16c3835",
);

/// The nodes; they end with it.
pub struct Cluster {
    program: PathBuf,
    dir: tempfile::TempDir,
    nodes: Vec<Option<Child>>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 0..self.nodes.len() {
            self.kill(node);
        }
    }
}

impl Cluster {
    /// A cluster with the bucket `cache`, and its first node as a server; `None`, said loudly: there is no program.
    pub fn new() -> Option<(Self, Server)> {
        let Some(program) = std::env::var_os("NANNA_GARAGE") else {
            eprintln!("SKIPPED: a cluster of object storage; NANNA_GARAGE=PROGRAM asks for it");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let mut cluster = Self {
            program: program.into(),
            dir,
            nodes: Vec::new(),
        };
        let ports: Vec<[u16; 3]> = (0..3).map(|_| [port(), port(), port()]).collect();
        for (node, ports) in ports.iter().copied().enumerate() {
            cluster.write_settings(node, ports);
            cluster.nodes.push(None);
            cluster.start(node);
        }
        let ids: Vec<String> = (0..3)
            .map(|node| cluster.tell(node, &["node", "id", "-q"]))
            .collect();
        for id in &ids[1..] {
            let _ = cluster.tell(0, &["node", "connect", id]);
        }
        for (node, id) in ids.iter().enumerate() {
            let zone = format!("z{node}");
            let _ = cluster.tell(0, &["layout", "assign", &id[..16], "-z", &zone, "-c", "1G"]);
        }
        let _ = cluster.tell(0, &["layout", "apply", "--version", "1"]);
        let _ = cluster.tell(0, &["bucket", "create", "cache"]);
        let _ = cluster.tell(0, &["key", "import", "--yes", "-n", "t", KEY.0, KEY.1]);
        let _ = cluster.tell(
            0,
            &[
                "bucket", "allow", "--read", "--write", "--owner", "cache", "--key", "t",
            ],
        );
        let server = Server {
            child: None,
            port: ports[0][0],
            dir: tempfile::tempdir().unwrap(),
            storage: Storage::S3,
            credentials: KEY,
            leaves: Vec::new(),
        };
        Some((cluster, server))
    }

    fn settings(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("{node}.toml"))
    }

    fn write_settings(&self, node: usize, [s3, rpc, admin]: [u16; 3]) {
        let at = self.dir.path().join(node.to_string());
        let at = at.display();
        let secret = "5c".repeat(32);
        std::fs::write(
            self.settings(node),
            format!(
                r#"metadata_dir = "{at}/meta"
data_dir = "{at}/data"
db_engine = "lmdb"
replication_factor = 3
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secret}"
s3_api = {{ api_bind_addr = "127.0.0.1:{s3}", s3_region = "us-east-1" }}
admin = {{ api_bind_addr = "127.0.0.1:{admin}" }}
"#
            ),
        )
        .unwrap();
    }

    fn command(&self, node: usize, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.settings(node)).args(words);
        command
    }

    /// What a node answers to its administrator.
    fn tell(&self, node: usize, words: &[&str]) -> String {
        let said = self.command(node, words).output().unwrap();
        assert!(said.status.success(), "{words:?}: {said:?}");
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }

    /// Starts a node, and waits until it answers.
    pub fn start(&mut self, node: usize) {
        let log = std::fs::File::create(self.dir.path().join(format!("{node}.log"))).unwrap();
        let mut command = self.command(node, &["server"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.nodes[node] = Some(command.spawn().unwrap());
        let begun = Instant::now();
        while !self
            .command(node, &["status"])
            .output()
            .unwrap()
            .status
            .success()
        {
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "{}",
                self.log(node)
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn log(&self, node: usize) -> String {
        let file: &Path = &self.dir.path().join(format!("{node}.log"));
        std::fs::read_to_string(file).unwrap_or_default()
    }

    /// Ends a node, as a power cut does.
    pub fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
