//! A cache as anybody sees it over HTTP: objects by their names, and no listing.
//!
//! For looking at caches that somebody else keeps. It reads only, and sends no credentials.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::{Area, CacheView, Listed, Meta, Object, Revision, StoreError};
use crate::plan::observed::Capabilities;
use crate::plan::time::Time;
use crate::sys::http::{Answer, Http, HttpError, Options, block_on, spawn};

/// Blocks of a stream that wait to be read.
const AHEAD: usize = 16;

/// A cache behind an URL.
pub struct RemoteView {
    url: String,
    http: Http,
}

impl RemoteView {
    /// A cache behind an `http:` or `https:` URL; nothing is asked yet.
    ///
    /// # Errors
    /// No client can be made, for instance without certificates.
    pub fn new(url: &str, options: &Options) -> Result<Self, HttpError> {
        let options = Options {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(20),
            tries: 3,
            ..options.clone()
        };
        let url = url.split('?').next().unwrap_or(url);
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            http: Http::new(&options)?,
        })
    }

    fn address(&self, key: &str) -> Result<String, StoreError> {
        let leads_out = key.contains("://")
            || key.starts_with('/')
            || key.split('/').any(|part| part.is_empty() || part == "..");
        if leads_out {
            return Err(StoreError::BadKey(key.to_owned()));
        }
        Ok(format!("{}/{key}", self.url))
    }

    /// What an answer says of an object; `None`: it is not there.
    fn judge(
        action: &'static str,
        key: &str,
        answer: Result<Answer, HttpError>,
    ) -> Result<Option<Answer>, StoreError> {
        match answer {
            Ok(answer) if answer.status == 200 => Ok(Some(answer)),
            // Storages that may not be listed say 403 of what is not there.
            Ok(answer) if matches!(answer.status, 403 | 404 | 410) => Ok(None),
            Ok(answer) => {
                let why = format!("the server answered {}", answer.status);
                Err(StoreError::refused(action, key, why))
            }
            Err(error) => Err(StoreError::refused(action, key, error.brief())),
        }
    }

    fn meta(answer: &Answer, size: u64) -> Meta {
        let said = |name: &str| answer.headers.get(name)?.to_str().ok().map(str::to_owned);
        let length = said("content-length").and_then(|text| text.parse().ok());
        Meta {
            size: if size > 0 { size } else { length.unwrap_or(0) },
            modified: Time(0),
            revision: Revision::default(),
            gone: None,
        }
    }
}

impl CacheView for RemoteView {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            sizes: true,
            ..Capabilities::default()
        }
    }

    fn identity(&self) -> String {
        self.url.clone()
    }

    fn exists(&self) -> Result<bool, StoreError> {
        Ok(self.head("nix-cache-info")?.is_some())
    }

    fn list(&self, _: Area, _: &mut dyn FnMut(Listed<'_>)) -> Result<(), StoreError> {
        let why = "a cache behind HTTP lists nothing";
        Err(StoreError::refused("list", self.url.clone(), why))
    }

    fn head(&self, key: &str) -> Result<Option<Meta>, StoreError> {
        let address = self.address(key)?;
        let asked = block_on(self.http.head(&address)).and_then(|answer| answer);
        let answer = Self::judge("look at", key, asked)?;
        Ok(answer.map(|answer| Self::meta(&answer, 0)))
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<Object>, StoreError> {
        let address = self.address(key)?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let asked = block_on(self.http.get(&address, most)).and_then(|answer| answer);
        let answer = Self::judge("read", key, asked)?;
        Ok(answer.map(|answer| Object {
            meta: Self::meta(&answer, answer.body.len() as u64),
            bytes: answer.body,
        }))
    }

    fn open(&self, key: &str) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
        let address = self.address(key)?;
        let client = self.http.client();
        let (send, receive) = sync_channel(AHEAD);
        let (first, status) = sync_channel(1);
        let task = async move {
            let mut response = match client.get(&address).send().await {
                Ok(response) => response,
                Err(error) => {
                    // The URL may hold a password.
                    let _ = first.send(Err(error.without_url().to_string()));
                    return;
                }
            };
            let status = response.status().as_u16();
            let _ = first.send(Ok(status));
            if status != 200 {
                return;
            }
            loop {
                let block = response.chunk().await;
                let over = !matches!(block, Ok(Some(_)));
                let block = block.map_err(|error| error.without_url().to_string());
                if let Some(block) = block.transpose() {
                    let block = block.map(|bytes| bytes.to_vec());
                    // Waiting for the reader must not hold up the thread that other streams share.
                    let send = send.clone();
                    let taken = tokio::task::spawn_blocking(move || send.send(block)).await;
                    if !matches!(taken, Ok(Ok(()))) {
                        return;
                    }
                }
                if over {
                    return;
                }
            }
        };
        spawn(task).map_err(|error| StoreError::refused("read", key, error.brief()))?;
        match status.recv() {
            Ok(Ok(200)) => Ok(Some(Box::new(Stream {
                blocks: receive,
                block: Vec::new(),
                at: 0,
            }))),
            Ok(Ok(403 | 404 | 410)) => Ok(None),
            Ok(Ok(status)) => {
                let why = format!("the server answered {status}");
                Err(StoreError::refused("read", key, why))
            }
            Ok(Err(why)) => Err(StoreError::refused("read", key, why)),
            Err(_) => Err(StoreError::refused("read", key, "no answer came")),
        }
    }

    fn now(&self) -> Result<Time, StoreError> {
        Ok(Time(0))
    }

    fn has_folders(&self) -> Result<bool, StoreError> {
        Ok(true)
    }
}

/// The body of an answer.
struct Stream {
    blocks: Receiver<Result<Vec<u8>, String>>,
    block: Vec<u8>,
    at: usize,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.block.len() {
            match self.blocks.recv() {
                Ok(Ok(block)) => (self.block, self.at) = (block, 0),
                Ok(Err(why)) => return Err(io::Error::other(why)),
                Err(_) => return Ok(0),
            }
        }
        let rest = self.block.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}
