//! The encoder.

use std::io::Write;

use super::{MAGIC, MAX_DEPTH, NarError, check_name, check_order, check_target, padding};

/// Where the writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A node must come: the root, or that of the entry just named.
    Node,
    /// Content must come.
    Content { announced: u64, left: u64 },
    /// In a directory: an entry or its end must come.
    Entries,
    /// The root is complete.
    Done,
    /// Something failed; what was written is no NAR.
    Failed,
}

/// Encodes a tree as a NAR, in one pass.
///
/// Calls follow the tree: one of [`regular`](Self::regular) (then [`content`](Self::content) until
/// the announced size is reached), [`symlink`](Self::symlink) and [`directory`](Self::directory)
/// (then an [`entry`](Self::entry) and a node, any number of times, then [`end`](Self::end)); at
/// last [`finish`](Self::finish). Each call writes at most two slices, so a small buffer below is
/// worth while; content goes through uncopied.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    state: State,
    /// The last name in each open directory.
    open: Vec<Option<Vec<u8>>>,
    /// Tokens are put together here.
    buffer: Vec<u8>,
    position: u64,
}

impl<W: Write> Writer<W> {
    /// A writer of one NAR. Nothing is written before the root comes.
    pub fn new(out: W) -> Self {
        let mut buffer = Vec::with_capacity(512);
        token(&mut buffer, MAGIC);
        Self {
            out,
            state: State::Node,
            open: Vec::new(),
            buffer,
            position: 0,
        }
    }

    /// How many bytes were written.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Announces a regular file of exactly `size` bytes.
    ///
    /// # Errors
    ///
    /// No node belongs here, it is nested too deep, or the stream failed.
    pub fn regular(&mut self, executable: bool, size: u64) -> Result<(), NarError> {
        self.begin_node(b"regular")?;
        if executable {
            token(&mut self.buffer, b"executable");
            token(&mut self.buffer, b"");
        }
        token(&mut self.buffer, b"contents");
        self.buffer.extend(size.to_le_bytes());
        if size == 0 {
            return self.end_node();
        }
        self.flush()?;
        self.state = State::Content {
            announced: size,
            left: size,
        };
        Ok(())
    }

    /// Writes the next piece of the announced file.
    ///
    /// # Errors
    ///
    /// No file was announced, the piece goes beyond its size, or the stream failed.
    pub fn content(&mut self, bytes: &[u8]) -> Result<(), NarError> {
        let State::Content { announced, left } = self.state else {
            if bytes.is_empty() {
                return Ok(());
            }
            return self.fail(NarError::Misuse("content without a regular file"));
        };
        let len = bytes.len() as u64;
        if len > left {
            let given = (announced - left).saturating_add(len);
            return self.fail(NarError::Size { announced, given });
        }
        self.write(bytes)?;
        let left = left - len;
        self.state = State::Content { announced, left };
        if left == 0 {
            let zeros = padding(announced);
            self.buffer.extend((0..zeros).map(|_| 0));
            return self.end_node();
        }
        Ok(())
    }

    /// Writes a symlink.
    ///
    /// # Errors
    ///
    /// The target is not allowed, no node belongs here, or the stream failed.
    pub fn symlink(&mut self, target: &[u8]) -> Result<(), NarError> {
        self.check(check_target(target))?;
        self.begin_node(b"symlink")?;
        token(&mut self.buffer, b"target");
        token(&mut self.buffer, target);
        self.end_node()
    }

    /// Begins a directory.
    ///
    /// # Errors
    ///
    /// No node belongs here, it is nested too deep, or the stream failed.
    pub fn directory(&mut self) -> Result<(), NarError> {
        self.begin_node(b"directory")?;
        self.open.push(None);
        self.state = State::Entries;
        self.flush()
    }

    /// Names the next entry of the directory; its node comes next.
    ///
    /// # Errors
    ///
    /// The name is not allowed or does not come after the one before it, no directory is open,
    /// or the stream failed.
    pub fn entry(&mut self, name: &[u8]) -> Result<(), NarError> {
        self.expect(State::Entries, "an entry without a directory")?;
        self.check(check_name(name))?;
        let before = self
            .open
            .last_mut()
            .and_then(|last| last.replace(name.to_vec()));
        self.check(check_order(before.as_deref(), name))?;
        for word in [b"entry".as_slice(), b"(", b"name", name, b"node"] {
            token(&mut self.buffer, word);
        }
        self.state = State::Node;
        self.flush()
    }

    /// Ends the directory that was begun last and has not ended.
    ///
    /// # Errors
    ///
    /// No directory is open, an entry has no node yet, or the stream failed.
    pub fn end(&mut self) -> Result<(), NarError> {
        self.expect(State::Entries, "the end of a directory without a directory")?;
        self.open.pop();
        self.end_node()
    }

    /// Gives the stream back once the tree is complete. Does not flush it.
    ///
    /// # Errors
    ///
    /// The tree is not complete: a file lacks content ([`NarError::Size`]), or a node or an end
    /// is missing.
    pub fn finish(self) -> Result<W, NarError> {
        match self.state {
            State::Done => Ok(self.out),
            State::Content { announced, left } => Err(NarError::Size {
                announced,
                given: announced - left,
            }),
            _ => Err(NarError::Misuse("the tree is not complete")),
        }
    }

    fn begin_node(&mut self, kind: &[u8]) -> Result<(), NarError> {
        self.expect(State::Node, "a node where none belongs")?;
        if self.open.len() >= MAX_DEPTH {
            return self.fail(NarError::Depth);
        }
        for word in [b"(".as_slice(), b"type", kind] {
            token(&mut self.buffer, word);
        }
        Ok(())
    }

    fn end_node(&mut self) -> Result<(), NarError> {
        token(&mut self.buffer, b")");
        self.state = State::Done;
        if !self.open.is_empty() {
            // The end of the entry that this node belongs to.
            token(&mut self.buffer, b")");
            self.state = State::Entries;
        }
        self.flush()
    }

    fn expect(&mut self, state: State, otherwise: &'static str) -> Result<(), NarError> {
        if self.state == state {
            return Ok(());
        }
        if let State::Content { announced, left } = self.state {
            return self.fail(NarError::Size {
                announced,
                given: announced - left,
            });
        }
        self.fail(NarError::Misuse(otherwise))
    }

    fn check(&mut self, checked: Result<(), NarError>) -> Result<(), NarError> {
        checked.or_else(|error| self.fail(error))
    }

    fn fail(&mut self, error: NarError) -> Result<(), NarError> {
        self.state = State::Failed;
        Err(error)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NarError> {
        if let Err(error) = self.out.write_all(bytes) {
            return self.fail(error.into());
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Writes what was put together.
    fn flush(&mut self) -> Result<(), NarError> {
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.write(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        written
    }
}

fn token(buffer: &mut Vec<u8>, bytes: &[u8]) {
    let len = bytes.len() as u64;
    buffer.extend(len.to_le_bytes());
    buffer.extend(bytes);
    buffer.extend((0..padding(len)).map(|_| 0));
}
