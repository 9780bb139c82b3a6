//! The journal: one line before and one after each step, each on the disk before work goes on.
//!
//! It is there to be read by people, and to say what an earlier run was doing when it died. What is left to
//! do is never taken from it: that is observed. Runs at once append to the same file; a line
//! names its run.

use std::fs::File;
use std::io::Write as _;
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::plan::address::Address;
use crate::plan::report::Outcome;
use crate::plan::time::Time;
use crate::sys::file::{self, FileError};

/// Number of the format.
const FORMAT: u32 = 1;
/// Largest journal that is read, in bytes; a larger one is begun anew.
const MAX: u64 = 16 << 20;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Number of the format.
    pub format: u32,
    /// The run.
    pub run: String,
    /// When.
    pub time: Time,
    /// The step; `None`: the run as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Address>,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// It begins.
    Begin,
    /// It ended.
    End {
        /// How; for a run: nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Outcome>,
    },
}

/// The journal of a project, open for one run.
#[derive(Debug)]
pub struct Journal {
    path: Utf8PathBuf,
    run: String,
    file: Mutex<File>,
}

/// What earlier runs left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// When the run was last heard of.
    pub time: Time,
    /// The steps that began and did not end; empty: it died between steps.
    pub steps: Vec<Address>,
}

impl Journal {
    /// Opens the journal and writes that a run begins. Also says what the newest earlier run left open.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn begin(path: &Utf8Path, now: Time) -> Result<(Self, Option<Open>), FileError> {
        let io = |action| {
            move |source: std::io::Error| FileError::io(action, path.as_std_path(), source)
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io("create the folder of"))?;
        }
        let mut options = File::options();
        options.create(true).append(true);
        let file = options.open(path).map_err(io("open"))?;
        // Every run holds the lock while it lives: who gets it alone is the only one, so whatever
        // the newest run left open is left for good, and an overgrown journal may begin anew.
        let alone = file.try_lock().is_ok();
        let mut left = None;
        if alone {
            match file::read_if_there(path.as_std_path(), MAX) {
                Ok(bytes) => {
                    let bytes = bytes.unwrap_or_default();
                    left = left_open(&bytes);
                    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
                        // A crash cut a line off; ours must not hang on to it.
                        (&file).write_all(b"\n").map_err(io("write"))?;
                    }
                }
                Err(_) => file.set_len(0).map_err(io("begin anew"))?,
            }
            file.unlock().map_err(io("unlock"))?;
        }
        file.lock_shared().map_err(io("lock"))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| io("name a run of")(std::io::Error::other(error.to_string())))?;
        let run = data_encoding::HEXLOWER.encode(&random);
        let journal = Self {
            path: path.to_owned(),
            run,
            file: Mutex::new(file),
        };
        journal.write(now, None, Entry::Begin)?;
        Ok((journal, left))
    }

    /// Writes a line, and returns when it is on the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, time: Time, step: Option<&Address>, entry: Entry) -> Result<(), FileError> {
        let line = Line {
            format: FORMAT,
            run: self.run.clone(),
            time,
            step: step.cloned(),
            entry,
        };
        let io = |source| FileError::io("write", self.path.as_std_path(), source);
        let mut text = serde_json::to_string(&line).map_err(|error| io(error.into()))?;
        text.push('\n');
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(io)
    }
}

#[cfg(test)]
impl Journal {
    /// From now on, nothing more can be written.
    pub(super) fn fill_disk(&self) {
        let full = File::options().append(true).open("/dev/full").unwrap();
        *self.file.lock().unwrap() = full;
    }
}

/// What the newest run in a journal left open. Lines that cannot be read are of other versions, or
/// were cut off by a crash.
fn left_open(bytes: &[u8]) -> Option<Open> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<Line> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let run = &lines.last()?.run;
    let of_run = || lines.iter().filter(|line| line.run == *run);
    if of_run().any(|line| line.step.is_none() && matches!(line.entry, Entry::End { .. })) {
        return None;
    }
    let mut steps: Vec<Address> = Vec::new();
    for line in of_run() {
        let Some(step) = &line.step else { continue };
        match line.entry {
            Entry::Begin => steps.push(step.clone()),
            Entry::End { .. } => steps.retain(|open| open != step),
        }
    }
    Some(Open {
        time: lines.last()?.time,
        steps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::address::Phase;

    #[test]
    fn says_what_the_last_run_left_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path())
            .unwrap()
            .join("journal/x.jsonl");
        let step = Address::new(Phase::Push, "dev", "apps");
        let other = Address::new(Phase::Setup, "nix", "fragment");
        let (journal, left) = Journal::begin(&path, Time(1)).unwrap();
        assert_eq!(left, None);
        journal.write(Time(2), Some(&other), Entry::Begin).unwrap();
        journal
            .write(
                Time(3),
                Some(&other),
                Entry::End {
                    result: Some(Outcome::Unchanged),
                },
            )
            .unwrap();
        journal.write(Time(4), Some(&step), Entry::Begin).unwrap();
        drop(journal);
        // The crash cut a line off.
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"format\":1,\"ru");
        std::fs::write(&path, text).unwrap();

        let (journal, left) = Journal::begin(&path, Time(9)).unwrap();
        assert_eq!(
            left,
            Some(Open {
                time: Time(4),
                steps: vec![step]
            })
        );
        journal
            .write(Time(10), None, Entry::End { result: None })
            .unwrap();
        drop(journal);
        let (alive, left) = Journal::begin(&path, Time(11)).unwrap();
        assert_eq!(left, None);
        // A run that is still alive has not left anything.
        assert_eq!(Journal::begin(&path, Time(12)).unwrap().1, None);
        drop(alive);
        let (_, left) = Journal::begin(&path, Time(13)).unwrap();
        assert_eq!(
            left,
            Some(Open {
                time: Time(12),
                steps: Vec::new()
            })
        );
    }
}
