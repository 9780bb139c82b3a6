//! One NAR file on its way: its bytes go up in parts, a few at a time, while more are made.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use md5::{Digest as _, Md5};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded::byte_serialize;

use super::wire::{NewPart, Part, PartAddress, Upload};
use super::{CachixError, Client};
use crate::sys::http::{Patience, Request};
use crate::transfer::sink::{FileFacts, Sink, SinkError};

/// Bytes of a part. The storage behind takes 10,000 of at least 5 MiB: 78 GiB in one file.
const PART: usize = 8 << 20;
/// Parts on their way at once, of all files together.
const AT_ONCE: usize = 4;
/// How long it may take to give one up.
const ABORT: Duration = Duration::from_secs(5);
/// How often a part is sent, each time to a new address.
const TRIES: usize = 3;

/// A file of which all parts have arrived.
#[derive(Clone)]
pub(super) struct Arrived {
    pub(super) upload: Upload,
    pub(super) parts: Vec<Part>,
}

/// What the files on their way share.
#[derive(Default)]
pub(super) struct Road {
    sending: Mutex<usize>,
    freed: Condvar,
    arrived: Mutex<HashMap<String, Arrived>>,
    stopped: std::sync::atomic::AtomicBool,
}

impl Road {
    /// Takes the file that arrived under this name.
    pub(super) fn take(&self, nar_id: &str) -> Option<Arrived> {
        lock(&self.arrived).remove(nar_id)
    }

    /// Takes the uploads that nobody completed.
    pub(super) fn left(&self) -> Vec<Upload> {
        let left = std::mem::take(&mut *lock(&self.arrived));
        left.into_values().map(|arrived| arrived.upload).collect()
    }

    /// Makes everything on its way give up.
    pub(super) fn stop(&self) {
        self.stopped
            .store(true, std::sync::atomic::Ordering::SeqCst);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn enter(&self) {
        let mut sending = lock(&self.sending);
        while *sending >= AT_ONCE {
            sending = self
                .freed
                .wait(sending)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *sending += 1;
    }

    fn leave(&self) {
        *lock(&self.sending) -= 1;
        self.freed.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One file on its way.
pub(super) struct Parts {
    client: Client,
    road: Arc<Road>,
    upload: Upload,
    buffer: Vec<u8>,
    sent: Vec<Receiver<Result<Part, CachixError>>>,
    is_whole: bool,
}

impl Parts {
    /// Begins an upload; `method` is `zst` or `xz`.
    pub(super) fn begin(
        client: &Client,
        road: &Arc<Road>,
        method: &str,
    ) -> Result<Self, CachixError> {
        let what = "begin an upload";
        let to = client.of_cache(&format!("/multipart-nar?compression={method}"));
        let stopped = || road.is_stopped();
        let answer = client.ask(
            what,
            (Method::POST, to),
            Vec::new(),
            client.patience,
            &stopped,
        )?;
        Ok(Self {
            client: client.clone(),
            road: Arc::clone(road),
            upload: client.read(what, &answer)?,
            buffer: Vec::new(),
            sent: Vec::new(),
            is_whole: false,
        })
    }

    /// Sends what is in the buffer as the next part, while the next is made.
    fn send(&mut self) -> Result<(), SinkError> {
        let bytes = std::mem::take(&mut self.buffer);
        let number = u32::try_from(self.sent.len() + 1)?;
        let (done, result) = sync_channel(1);
        let (client, road, upload) = (
            self.client.clone(),
            Arc::clone(&self.road),
            self.upload.clone(),
        );
        self.road.enter();
        let started = thread::Builder::new()
            .name("part".to_owned())
            .spawn(move || {
                let sent = client.part(&upload, number, &bytes, &|| road.is_stopped());
                road.leave();
                // Nobody waits for it where the file was given up.
                let _ = done.send(sent);
            });
        if let Err(error) = started {
            self.road.leave();
            return Err(error.into());
        }
        self.sent.push(result);
        Ok(())
    }
}

impl Sink for Parts {
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), SinkError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PART - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == PART {
                self.send()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, _: &FileFacts) -> Result<String, SinkError> {
        if !self.buffer.is_empty() || self.sent.is_empty() {
            self.send()?;
        }
        let mut parts = Vec::with_capacity(self.sent.len());
        for sent in &self.sent {
            parts.push(sent.recv()??);
        }
        self.is_whole = true;
        let id = self.upload.nar_id.clone();
        let upload = self.upload.clone();
        lock(&self.road.arrived).insert(id.clone(), Arrived { upload, parts });
        Ok(id)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if !self.is_whole {
            self.client.abort(&self.upload);
        }
    }
}

impl Client {
    /// Tells the service that an upload will not be completed. It may forget that by itself, too, so
    /// nobody waits long for it. Answers whether it heard.
    pub(super) fn abort(&self, upload: &Upload) -> bool {
        let what = "give up an upload";
        let to = self.of_upload(upload, "/abort", "");
        let begun = Instant::now();
        let given_up = self.ask(
            what,
            (Method::POST, to),
            Vec::new(),
            Patience::NONE,
            &|| begun.elapsed() > ABORT,
        );
        if let Err(error) = &given_up {
            tracing::debug!(%error, "an upload is left behind");
        }
        given_up.is_ok()
    }

    /// The same for some; the first of which the service does not hear is the last.
    pub(super) fn abort_all(&self, uploads: &[Upload]) {
        let _ = uploads.iter().all(|upload| self.abort(upload));
    }

    /// An address below an upload's own.
    pub(super) fn of_upload(&self, upload: &Upload, rest: &str, query: &str) -> String {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let (nar, id) = (encoded(&upload.nar_id), encoded(&upload.upload_id));
        self.of_cache(&format!("/multipart-nar/{nar}{rest}?uploadId={id}{query}"))
    }

    /// Sends one part; each try to an address of its own, for one holds for a while only.
    fn part(
        &self,
        upload: &Upload,
        number: u32,
        bytes: &[u8],
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Part, CachixError> {
        let sum = BASE64.encode(&Md5::digest(bytes));
        let mut tries = 0;
        loop {
            tries += 1;
            let sent = self.part_once(upload, number, (bytes, &sum), is_stopped);
            match sent {
                Err(error)
                    if tries < TRIES
                        && !matches!(
                            error,
                            CachixError::Refused { .. } | CachixError::Stopped { .. }
                        ) =>
                {
                    tracing::debug!(%error, number, "a part is sent again");
                }
                sent => return sent,
            }
        }
    }

    fn part_once(
        &self,
        upload: &Upload,
        number: u32,
        (bytes, sum): (&[u8], &str),
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Part, CachixError> {
        let what = "ask where a part goes";
        let body = self.body(what, &NewPart { content_md5: sum })?;
        let to = self.of_upload(upload, "", &format!("&partNumber={number}"));
        let answer = self.ask(what, (Method::POST, to), body, self.patience, is_stopped)?;
        let address: PartAddress = self.read(what, &answer)?;
        let what = "send a part";
        // The address is all the right that the storage wants: no token goes there.
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        let malformed = |why: &str| CachixError::Malformed {
            what,
            host: "the storage".to_owned(),
            why: why.to_owned(),
        };
        let value = HeaderValue::from_str(sum).map_err(|_| malformed("no checksum"))?;
        headers.insert(HeaderName::from_static("content-md5"), value);
        let request = Request {
            method: Method::PUT,
            url: address.upload_url,
            headers,
            body: bytes.to_vec(),
            limit: 1 << 20,
        };
        // The whole part is tried again to a new address, so each address has one try.
        let answer = self.exchange(what, request, Patience::NONE, is_stopped)?;
        let answer = match answer.status {
            200..=299 => answer,
            status => {
                return Err(CachixError::Status {
                    what,
                    host: "the storage".to_owned(),
                    status,
                    said: String::new(),
                    tries: String::new(),
                });
            }
        };
        let tag = answer.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.filter(|tag| !tag.is_empty());
        let tag = tag.ok_or_else(|| malformed("it gave no ETag for a part"))?;
        Ok(Part {
            part_number: number,
            e_tag: tag.to_owned(),
        })
    }
}
