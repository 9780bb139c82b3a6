//! From the text of a workflow to its steps.

use super::{Code, Edit, File, Finding};
use crate::text::place::{ByteSpan, LineIndex};
use crate::text::yaml::{Document, Entry, Node, Value};

/// The byte order mark, which the tree does not count.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// A workflow or a composite action.
pub(super) struct Workflow {
    /// Its name.
    pub(super) name: String,
    /// Its tree.
    pub(super) document: Document,
    /// Bytes before the text of the tree.
    offset: usize,
    lines: LineIndex,
}

/// A step, with what holds for it.
pub(super) struct Step<'w> {
    /// The step itself.
    pub(super) node: &'w Node,
    /// Conditions: its own, and that of its job.
    pub(super) conditions: Vec<&'w str>,
}

/// Reads a file; a finding, if it is none that we can judge.
pub(super) fn file(file: &File) -> Result<Workflow, Box<Finding>> {
    let refuse = |message: String, line, column| {
        Box::new(Finding {
            code: Code::Unreadable,
            severity: Code::Unreadable.severity(),
            file: file.name.clone(),
            line,
            column,
            message: format!("this file was not judged: {message}"),
            help: "mend the file; GitHub does not run what it cannot read".to_owned(),
            edit: None,
        })
    };
    let bytes = match &file.content {
        Ok(bytes) => bytes,
        Err(why) => return Err(refuse(why.clone(), 1, 1)),
    };
    let document = match Document::parse(bytes) {
        Ok(document) => document,
        Err(fault) => {
            let at = fault.span.map_or(0, |span| span.start);
            let place = LineIndex::new(&fault.text).place(&fault.text, at);
            return Err(refuse(fault.message, place.line, place.column));
        }
    };
    if !matches!(document.root.value, Value::Map(_)) {
        return Err(refuse("it is no mapping".to_owned(), 1, 1));
    }
    let offset = if bytes.starts_with(MARK) {
        MARK.len()
    } else {
        0
    };
    Ok(Workflow {
        name: file.name.clone(),
        lines: LineIndex::new(&document.text),
        document,
        offset,
    })
}

impl Workflow {
    /// Every step: of all jobs, or of the composite action.
    pub(super) fn steps(&self) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        let jobs = get(&self.document.root, "jobs").map_or(&[][..], entries);
        let holders = jobs
            .iter()
            .map(|job| &job.value)
            .chain(get(&self.document.root, "runs"));
        for holder in holders {
            let Some(Value::List(items)) = get(holder, "steps").map(|node| &node.value) else {
                continue;
            };
            for node in items {
                let conditions = [holder, node].into_iter();
                let conditions = conditions.filter_map(|node| text(get(node, "if")?));
                steps.push(Step {
                    node,
                    conditions: conditions.collect(),
                });
            }
        }
        steps
    }

    /// Whether an event starts this workflow.
    pub(super) fn is_started_by(&self, event: &str) -> bool {
        match get(&self.document.root, "on").map(|node| &node.value) {
            Some(Value::Text(one)) => one == event,
            Some(Value::List(many)) => many.iter().any(|node| text(node) == Some(event)),
            Some(Value::Map(entries)) => entries.iter().any(|entry| entry.key == event),
            _ => false,
        }
    }

    /// The bytes of a stretch of the text.
    pub(super) fn raw(&self, span: ByteSpan) -> &str {
        self.document
            .text
            .get(span.start..span.end())
            .unwrap_or_default()
    }

    /// The first place of `needle` in a stretch; the start of the stretch, if it is not there as such.
    pub(super) fn within(&self, span: ByteSpan, needle: &str) -> ByteSpan {
        self.raw(span).find(needle).map_or(span, |at| ByteSpan {
            start: span.start + at,
            len: needle.len(),
        })
    }

    /// A finding at a place.
    pub(super) fn finding(
        &self,
        code: Code,
        span: ByteSpan,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Finding {
        let place = self.lines.place(&self.document.text, span.start);
        Finding {
            code,
            severity: code.severity(),
            file: self.name.clone(),
            line: place.line,
            column: place.column,
            message: message.into(),
            help: help.into(),
            edit: None,
        }
    }

    /// Replaces a stretch, if it holds `old`: the place of an alias does not.
    pub(super) fn replace(&self, span: ByteSpan, old: &str, with: String) -> Option<Edit> {
        (self.raw(span) == old).then(|| Edit {
            start: span.start + self.offset,
            len: span.len,
            with,
        })
    }

    /// Puts a line before the line of an entry of a block mapping; `None` for other forms.
    pub(super) fn line_before(&self, entry: &Entry, line: &str) -> Option<Edit> {
        let start = entry.key_span.start;
        let before = self.document.text.get(..start)?;
        let indent = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
        if self.raw(entry.key_span) != entry.key || !indent.bytes().all(|byte| byte == b' ') {
            return None;
        }
        let rest = self.document.text.get(start..)?;
        let end = rest.find('\n')?;
        let newline = if rest[..end].ends_with('\r') {
            "\r\n"
        } else {
            "\n"
        };
        Some(Edit {
            start: start + self.offset,
            len: 0,
            with: format!("{line}{newline}{indent}"),
        })
    }

    /// The rest of the line after a stretch: the comment that tells the version of a pinned action.
    pub(super) fn rest_of_line(&self, span: ByteSpan) -> &str {
        let rest = self.document.text.get(span.end()..).unwrap_or_default();
        rest.lines().next().unwrap_or_default()
    }
}

/// The value of a key of a mapping.
pub(super) fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let entry = entries(node).iter().find(|entry| entry.key == key)?;
    Some(&entry.value)
}

/// The entries of a mapping; none of anything else.
pub(super) fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

/// A text.
pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
