//! How long a place takes to answer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::observed::Distance;
use crate::sys::clock::{Clock as _, SystemClock};
use crate::sys::http::{Http, Options, block_on};

/// Questions to each place; the first also opens the connection.
const QUESTIONS: usize = 4;
/// Longest time for one of them.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read.
const MOST: usize = 64 << 10;

/// How long each of these URLs takes to answer, whatever the answer is: the shortest of a few, in milliseconds.
/// All are asked at once; one that does not answer at first is asked no more.
#[must_use]
pub fn distances(urls: &[String], http: &Options) -> BTreeMap<String, Distance> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = urls
            .iter()
            .map(|url| (url, scope.spawn(move || one(url, http))))
            .collect();
        let asked = asked.into_iter();
        let answer = |(url, thread): (&String, std::thread::ScopedJoinHandle<'_, Distance>)| {
            (url.clone(), thread.join().unwrap_or(None))
        };
        asked.map(answer).collect()
    })
}

fn one(url: &str, options: &Options) -> Distance {
    let http = Http::new(options).ok()?;
    let clock = SystemClock::new();
    let work = async {
        let mut least: Option<Duration> = None;
        for _ in 0..QUESTIONS {
            let before = clock.elapsed();
            match tokio::time::timeout(PATIENCE, http.get(url, MOST)).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => break,
            }
            let passed = clock.elapsed().saturating_sub(before);
            least = Some(least.map_or(passed, |least| least.min(passed)));
        }
        least
    };
    let least = block_on(work).ok()??;
    u32::try_from(least.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A server that waits before each answer, and answers 403.
    fn server(wait: Duration) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
                        std::thread::sleep(wait);
                        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
                        if stream.write_all(answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        format!("http://127.0.0.1:{port}/nix-cache-info")
    }

    #[test]
    fn what_is_farther_takes_longer_and_what_is_not_there_is_said() {
        let near = server(Duration::ZERO);
        let far = server(Duration::from_millis(150));
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = gone.local_addr().unwrap().port();
        drop(gone);
        let nowhere = format!("http://127.0.0.1:{port}/nix-cache-info");
        let options = Options {
            tries: 1,
            ..Options::default()
        };
        let urls = [near.clone(), far.clone(), nowhere.clone()];
        let found = distances(&urls, &options);
        assert!(found[&far] >= Some(150), "{found:?}");
        assert!(found[&near] < found[&far], "{found:?}");
        assert!(found[&near].is_some(), "{found:?}");
        assert_eq!(found[&nowhere], None);
    }
}
