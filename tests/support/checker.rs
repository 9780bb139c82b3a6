//! Runs `tests/checker/check_cache.py`, which shares no code with the product.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What to hold against a cache folder.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    upstream: Vec<String>,
    keys: Vec<String>,
    roots: Vec<String>,
    deep: bool,
}

/// A checker that walks closures in the background until it is stopped.
pub struct Watch {
    child: Option<Child>,
    stop: PathBuf,
}

impl Checker {
    /// Checks structure: everything visible is whole.
    pub fn new() -> Self {
        Self::default()
    }

    /// Unpacks every NAR as well and compares hash and size.
    pub fn deep(mut self) -> Self {
        self.deep = true;
        self
    }

    /// A store path (or its hash) that a declared upstream has.
    pub fn upstream(mut self, path: &str) -> Self {
        self.upstream.push(path.to_owned());
        self
    }

    /// A public key: every narinfo without a content address must carry a valid signature of one of them.
    pub fn key(mut self, public_key: &str) -> Self {
        self.keys.push(public_key.to_owned());
        self
    }

    /// A store path that must be there with its whole closure.
    pub fn root(mut self, path: &str) -> Self {
        self.roots.push(path.to_owned());
        self
    }

    fn command(&self, cache: &Path) -> Command {
        let mut command = Command::new("python3");
        command
            .arg(super::fixture("tests/checker/check_cache.py"))
            .arg(cache)
            .stdin(Stdio::null());
        for (option, values) in [
            ("--upstream", &self.upstream),
            ("--key", &self.keys),
            ("--root", &self.roots),
        ] {
            for value in values {
                command.args([option, value]);
            }
        }
        if self.deep {
            command.arg("--deep");
        }
        command
    }

    /// Checks a cache folder once; the error lists every problem.
    pub fn check(&self, cache: &Path) -> Result<String, String> {
        let output = self.command(cache).output().expect("python3 starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.code() {
            Some(0) => Ok(text),
            Some(1) => Err(text),
            code => panic!(
                "the checker itself failed ({code:?}): {text}{}",
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }

    /// Asserts that a cache folder keeps every promise.
    #[track_caller]
    pub fn assert_whole(&self, cache: &Path) {
        if let Err(problems) = self.check(cache) {
            panic!("{} keeps not all promises:\n{problems}", cache.display());
        }
    }

    /// Walks the closures of a cache again and again, as a reader does, until [`Watch::stop`].
    pub fn watch(&self, cache: &Path, scratch: &Path) -> Watch {
        let stop = scratch.join(format!("stop-{}", std::process::id()));
        let mut command = self.command(cache);
        command
            .arg("--watch")
            .arg(&stop)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        Watch {
            child: Some(command.spawn().expect("python3 starts")),
            stop,
        }
    }
}

impl Watch {
    /// Stops after the current round and asserts that no promise was broken; gives what it printed.
    #[track_caller]
    pub fn stop(mut self) -> String {
        std::fs::write(&self.stop, "").unwrap();
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let _ = std::fs::remove_file(&self.stop);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "a reader saw a broken promise:\n{text}"
        );
        text
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
