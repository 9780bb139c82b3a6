//! What is kept of a program's output.

/// Longest line that is handed to a listener; the rest of it is left out.
const MAX_LINE: usize = 64 << 10;

/// Output that is kept whole, up to a limit.
pub(super) struct Capture {
    pub(super) bytes: Vec<u8>,
    limit: usize,
}

impl Capture {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }

    pub(super) fn take(&mut self, more: &[u8]) -> bool {
        if self.bytes.len() + more.len() > self.limit {
            return false;
        }
        self.bytes.extend_from_slice(more);
        true
    }
}

/// Output that is handed on line by line, the last of it kept.
pub(super) struct Lines {
    line: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    limit: usize,
}

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            tail: std::collections::VecDeque::new(),
            limit,
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8], on_line: &mut dyn FnMut(&str)) {
        let kept = &bytes[bytes.len().saturating_sub(self.limit)..];
        let excess = (self.tail.len() + kept.len()).saturating_sub(self.limit);
        self.tail.drain(..excess);
        self.tail.extend(kept);
        for &byte in bytes {
            if byte == b'\n' {
                self.flush(on_line);
            } else if self.line.len() < MAX_LINE {
                self.line.push(byte);
            }
        }
    }

    pub(super) fn flush(&mut self, on_line: &mut dyn FnMut(&str)) {
        on_line(String::from_utf8_lossy(&self.line).trim_end_matches('\r'));
        self.line.clear();
    }

    pub(super) fn finish(&mut self, on_line: &mut dyn FnMut(&str)) {
        if !self.line.is_empty() {
            self.flush(on_line);
        }
    }

    pub(super) fn tail(self) -> String {
        String::from_utf8_lossy(&Vec::from(self.tail)).into_owned()
    }
}
