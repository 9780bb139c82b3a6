//! One look at one object of a cache, with everything that the answer says.

use std::time::Duration;

use camino::Utf8Path;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, DATE, HeaderMap, HeaderValue};

use super::ask::LATE;
use crate::nix::store_path::HashPart;
use crate::sys::clock::{Clock as _, SystemClock};
use crate::sys::file;
use crate::sys::http::{Http, HttpError, Options, block_on};
use crate::sys::sqlite;

/// Longest time for a small object.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest time for a whole NAR.
const LONG_PATIENCE: Duration = Duration::from_mins(10);
/// Objects up to this many bytes are small.
const SMALL: usize = 1 << 20;

/// Name and password for a host. Never printed.
#[derive(Clone)]
pub struct Login {
    /// The name.
    pub name: String,
    /// The password or token.
    pub password: String,
}

/// What a look gave.
#[derive(Clone, Debug)]
pub struct Look {
    /// HTTP status; of a folder 200, or 404 where there is no such file.
    pub status: u16,
    /// The bytes; none where only the size was asked.
    pub body: Vec<u8>,
    /// Bytes of the object, where they are said.
    pub size: Option<u64>,
    /// The server's time, in seconds since 1970.
    pub date: Option<i64>,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

/// Looks at the object `name` of the cache at `url` (without parameters). `limit` bytes of it at most; 0: only
/// whether it is there, and its size.
///
/// # Errors
/// There is no answer, in words.
pub fn look(
    url: &str,
    name: &str,
    login: Option<&Login>,
    limit: usize,
    options: &Options,
) -> Result<Look, String> {
    let clock = SystemClock::new();
    let before = clock.elapsed();
    let mut look = if let Some(folder) = url.strip_prefix("file://") {
        in_folder(&Utf8Path::new(folder).join(name), limit)?
    } else {
        let address = format!("{url}/{name}");
        over_http(&address, login, limit, options)?
    };
    let took = clock.elapsed().saturating_sub(before);
    look.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    Ok(look)
}

fn in_folder(path: &Utf8Path, limit: usize) -> Result<Look, String> {
    let absent = Look {
        status: 404,
        body: Vec::new(),
        size: None,
        date: None,
        took_ms: 0,
    };
    let size = match std::fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(absent),
        Err(error) => return Err(error.to_string()),
    };
    let body = match limit {
        0 => Vec::new(),
        limit => file::read(path.as_std_path(), limit as u64).map_err(|error| error.to_string())?,
    };
    Ok(Look {
        status: 200,
        body,
        size: Some(size),
        ..absent
    })
}

fn over_http(
    address: &str,
    login: Option<&Login>,
    limit: usize,
    options: &Options,
) -> Result<Look, String> {
    let http = Http::new(options).map_err(|error| error.brief())?;
    let mut headers = HeaderMap::new();
    if let Some(login) = login {
        let words = format!("{}:{}", login.name, login.password);
        let text = data_encoding::BASE64.encode(words.as_bytes());
        if let Ok(mut value) = HeaderValue::try_from(format!("Basic {text}")) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
    }
    let method = if limit == 0 {
        Method::HEAD
    } else {
        Method::GET
    };
    let patience = if limit > SMALL {
        LONG_PATIENCE
    } else {
        PATIENCE
    };
    let asked = block_on(async {
        let ask = http.ask(&method, address, &headers, limit);
        tokio::time::timeout(patience, ask).await
    });
    let brief = |error: HttpError| error.brief();
    let answer = asked
        .map_err(brief)?
        .map_err(|_| LATE.to_owned())?
        .map_err(brief)?;
    let text = |name| answer.headers.get(name)?.to_str().ok();
    let size = text(CONTENT_LENGTH).and_then(|text| text.parse().ok());
    let date = text(DATE).and_then(seconds);
    Ok(Look {
        status: answer.status,
        size: if limit == 0 {
            size
        } else {
            Some(answer.body.len() as u64)
        },
        date,
        body: answer.body,
        took_ms: 0,
    })
}

/// The time in a `Date` header, in seconds since 1970.
fn seconds(text: &str) -> Option<i64> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    Some(time.ok()?.as_second())
}

/// What Nix's own memory, the file `binary-cache-v*.sqlite`, says of a cache: its priority, and of one path
/// whether it is there and when that was looked. `None`: nothing, or it cannot be read.
#[must_use]
pub fn remembered(
    memory: &Utf8Path,
    url: &str,
    path: Option<&HashPart>,
) -> Option<(i64, Option<(bool, i64)>)> {
    let hash = path.map(ToString::to_string).unwrap_or_default();
    let found = sqlite::read(memory, |connection| {
        let mut caches = connection.prepare("select id, url, priority from BinaryCaches")?;
        let rows = caches.query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
            ))
        })?;
        for row in rows {
            let (id, found, priority) = row?;
            if found.trim_end_matches('/') != url {
                continue;
            }
            let mut nars = connection.prepare(
                "select present, timestamp from NARs where cache = ?1 and hashPart = ?2",
            )?;
            let mut rows = nars.query((id, &hash))?;
            let answer = match rows.next()? {
                Some(row) => Some((row.get::<_, i64>(0)? != 0, row.get::<_, i64>(1)?)),
                None => None,
            };
            return Ok(Some((priority, answer)));
        }
        Ok(None)
    });
    found.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_servers() {
        assert_eq!(seconds("Thu, 01 Jan 1970 00:01:00 GMT"), Some(60));
        assert_eq!(seconds("yesterday"), None);
    }
}
