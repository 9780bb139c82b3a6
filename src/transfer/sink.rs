//! Where the compressed bytes of one NAR go.

use crate::nix::hash::Sha256;

/// Why a sink did not take something; what it is depends on the provider.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// What is known of a NAR file once all its bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Hash of the bytes.
    pub hash: Sha256,
    /// Number of bytes.
    pub size: u64,
    /// Ending of the name, such as `.zst`.
    pub suffix: &'static str,
}

/// Takes the bytes of one object; nobody sees the object before [`Sink::finish`]. A sink that is
/// dropped without it leaves nothing behind, as far as it can.
pub trait Sink: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// They could not be written; the sink is of no use any more.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError>;

    /// Makes the object visible, whole and durable, and answers its key. If an object with this
    /// key is there already, it is as young as a new one afterwards.
    ///
    /// # Errors
    /// It could not be made visible.
    fn finish(self: Box<Self>, facts: &FileFacts) -> Result<String, SinkError>;
}
