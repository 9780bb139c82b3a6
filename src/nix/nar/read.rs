//! The decoder.

use std::io::{self, BufRead, BufReader, Read};

use super::{
    MAGIC, MAX_DEPTH, MAX_NAME_LEN, MAX_TARGET_LEN, NarError, check_name, check_order,
    check_target, padding,
};

/// What comes next in a NAR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A regular file; its content can be read with [`Reader::content`] until the next event.
    Regular {
        /// Whether its owner may execute it.
        executable: bool,
        /// Its size in bytes.
        size: u64,
    },
    /// A symlink.
    Symlink {
        /// Its target: not empty, no NUL, at most 4095 bytes; may lead anywhere.
        target: Vec<u8>,
    },
    /// A directory begins.
    Directory,
    /// The next entry of the directory; its node is the next event.
    Entry {
        /// Its name: one plain part of a path.
        name: Vec<u8>,
    },
    /// The directory that began last and has not ended ends.
    End,
}

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Node,
    Content { size: u64, left: u64 },
    Entries,
    Done,
    Failed,
}

/// Decodes a NAR, event by event. Buffers its input.
///
/// An event is only given once everything before it, padding included, was found right. After an
/// error nothing more comes. Content that the caller does not read is skipped.
#[derive(Debug)]
pub struct Reader<R> {
    input: BufReader<R>,
    state: State,
    /// The last name in each open directory.
    open: Vec<Option<Vec<u8>>>,
    position: u64,
}

impl<R: Read> Reader<R> {
    /// A reader of one NAR. Nothing is read before the first event is asked for.
    pub fn new(input: R) -> Self {
        let input = BufReader::with_capacity(64 * 1024, input);
        Self {
            input,
            state: State::Start,
            open: Vec::new(),
            position: 0,
        }
    }

    /// How many bytes of the NAR were read.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The next event, or none when the NAR is complete.
    ///
    /// # Errors
    ///
    /// The input is no NAR, is cut off, or the stream failed.
    pub fn next_event(&mut self) -> Result<Option<Event>, NarError> {
        let state = std::mem::replace(&mut self.state, State::Failed);
        let (event, state) = self.step(state)?;
        self.state = state;
        Ok(event)
    }

    /// Reads content of the regular file that was the last event, as much as `buffer` takes or
    /// the stream has ready; 0 at the end of the file or when `buffer` is empty.
    ///
    /// # Errors
    ///
    /// The input is cut off, or the stream failed.
    pub fn content(&mut self, buffer: &mut [u8]) -> Result<usize, NarError> {
        let State::Content { size, left } = self.state else {
            return Ok(0);
        };
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        self.state = State::Failed;
        let read = loop {
            match self.input.read(&mut buffer[..wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 {
            return Err(NarError::Truncated { at: self.position });
        }
        self.position += read as u64;
        self.state = State::Content {
            size,
            left: left - read as u64,
        };
        Ok(read)
    }

    /// Checks the rest of the NAR and that nothing follows it, and gives its size in bytes.
    ///
    /// # Errors
    ///
    /// The rest is wrong, or bytes follow the end, or the stream failed.
    pub fn finish(mut self) -> Result<u64, NarError> {
        while self.next_event()?.is_some() {}
        match self.input.fill_buf()? {
            [] => Ok(self.position),
            _ => Err(NarError::Trailing { at: self.position }),
        }
    }

    fn step(&mut self, state: State) -> Result<(Option<Event>, State), NarError> {
        let state = match state {
            State::Content { size, left } => {
                self.skip(left)?;
                self.zeros(padding(size))?;
                self.expect(b")", "`)` after a file")?;
                self.after_node()?
            }
            State::Start => {
                self.expect(MAGIC, "`nix-archive-1`")?;
                State::Node
            }
            other => other,
        };
        match state {
            State::Node => self.node(),
            State::Entries => self.entry_or_end(),
            State::Done => Ok((None, State::Done)),
            State::Failed => Err(NarError::Misuse("reading on after an error")),
            // Never left over from above.
            State::Start | State::Content { .. } => Err(NarError::Misuse("a state out of turn")),
        }
    }

    fn node(&mut self) -> Result<(Option<Event>, State), NarError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(NarError::Depth);
        }
        self.expect(b"(", "`(`")?;
        self.expect(b"type", "`type`")?;
        let at = self.position;
        let (word, len) = self.word("a kind of node")?;
        match &word[..len] {
            b"regular" => self.regular(),
            b"symlink" => {
                self.expect(b"target", "`target`")?;
                let target = self.string(MAX_TARGET_LEN).map_err(|error| match error {
                    StringError::Long(len) => NarError::Target { len },
                    StringError::Nar(error) => error,
                })?;
                check_target(&target)?;
                self.expect(b")", "`)` after a symlink")?;
                let state = self.after_node()?;
                Ok((Some(Event::Symlink { target }), state))
            }
            b"directory" => {
                self.open.push(None);
                Ok((Some(Event::Directory), State::Entries))
            }
            _ => Err(NarError::Token {
                at,
                wanted: "a kind of node",
            }),
        }
    }

    fn regular(&mut self) -> Result<(Option<Event>, State), NarError> {
        let at = self.position;
        let wanted = "`executable` or `contents`";
        let (word, len) = self.word(wanted)?;
        let executable = match &word[..len] {
            b"executable" => {
                self.expect(b"", "an empty string")?;
                self.expect(b"contents", "`contents`")?;
                true
            }
            b"contents" => false,
            _ => return Err(NarError::Token { at, wanted }),
        };
        let size = self.number()?;
        Ok((
            Some(Event::Regular { executable, size }),
            State::Content { size, left: size },
        ))
    }

    fn entry_or_end(&mut self) -> Result<(Option<Event>, State), NarError> {
        let at = self.position;
        let wanted = "`entry` or `)`";
        let (word, len) = self.word(wanted)?;
        match &word[..len] {
            b"entry" => {
                self.expect(b"(", "`(` after `entry`")?;
                self.expect(b"name", "`name`")?;
                let name = self.string(MAX_NAME_LEN).map_err(|error| match error {
                    StringError::Long(len) => NarError::Name(format!("({len} bytes)")),
                    StringError::Nar(error) => error,
                })?;
                check_name(&name)?;
                let before = self
                    .open
                    .last_mut()
                    .and_then(|last| last.replace(name.clone()));
                check_order(before.as_deref(), &name)?;
                self.expect(b"node", "`node`")?;
                Ok((Some(Event::Entry { name }), State::Node))
            }
            b")" => {
                self.open.pop();
                let state = self.after_node()?;
                Ok((Some(Event::End), state))
            }
            _ => Err(NarError::Token { at, wanted }),
        }
    }

    /// What follows a complete node.
    fn after_node(&mut self) -> Result<State, NarError> {
        if self.open.is_empty() {
            return Ok(State::Done);
        }
        self.expect(b")", "`)` after an entry")?;
        Ok(State::Entries)
    }

    fn exact(&mut self, buffer: &mut [u8]) -> Result<(), NarError> {
        self.input
            .read_exact(buffer)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => NarError::Truncated { at: self.position },
                _ => NarError::Io(error),
            })?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    fn number(&mut self) -> Result<u64, NarError> {
        let mut bytes = [0; 8];
        self.exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Reads `count` bytes of padding, at most 7.
    fn zeros(&mut self, count: u64) -> Result<(), NarError> {
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..usize::try_from(count % 8).unwrap_or_default()];
        self.exact(bytes)?;
        if bytes.iter().any(|&byte| byte != 0) {
            return Err(NarError::Padding { at: self.position });
        }
        Ok(())
    }

    /// Reads one of the format's own words; the longest has 13 bytes.
    fn word(&mut self, wanted: &'static str) -> Result<([u8; 16], usize), NarError> {
        let at = self.position;
        let len = self.number()?;
        let mut word = [0; 16];
        let short = usize::try_from(len).ok().filter(|&len| len <= word.len());
        let len = short.ok_or(NarError::Token { at, wanted })?;
        self.exact(&mut word[..len])?;
        self.zeros(padding(len as u64))?;
        Ok((word, len))
    }

    fn expect(&mut self, token: &[u8], wanted: &'static str) -> Result<(), NarError> {
        let at = self.position;
        let (word, len) = self.word(wanted)?;
        if word[..len] != *token {
            return Err(NarError::Token { at, wanted });
        }
        Ok(())
    }

    fn string(&mut self, max: usize) -> Result<Vec<u8>, StringError> {
        let len = self.number()?;
        let short = usize::try_from(len).ok().filter(|&len| len <= max);
        let mut bytes = vec![0; short.ok_or(StringError::Long(len))?];
        self.exact(&mut bytes)?;
        self.zeros(padding(len))?;
        Ok(bytes)
    }

    fn skip(&mut self, mut left: u64) -> Result<(), NarError> {
        while left > 0 {
            let ready = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                ready => ready?.len(),
            };
            if ready == 0 {
                return Err(NarError::Truncated { at: self.position });
            }
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(ready);
            self.input.consume(step);
            self.position += step as u64;
            left -= step as u64;
        }
        Ok(())
    }
}

/// Why a string could not be read.
enum StringError {
    /// Longer than allowed.
    Long(u64),
    /// Another reason.
    Nar(NarError),
}

impl From<NarError> for StringError {
    fn from(error: NarError) -> Self {
        Self::Nar(error)
    }
}
